//! A provider's usage object as a small borrowed tree. It is built by whoever decodes the record, in an
//! arena that is used again for the next one; numbers stay text, so no digit is lost on the way.

/// One JSON value. Strings and numbers borrow from the record or from the decoder's arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node<'a> {
    /// JSON `null`; means the same as an absent field.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A number exactly as it was written, such as `12`, `10.0` or `7.5e-08`.
    Number(&'a str),
    /// A string after unescaping.
    Text(&'a str),
    /// An array.
    List(&'a [Node<'a>]),
    /// An object; names are unique, the order is the record's.
    Object(&'a [(&'a str, Node<'a>)]),
}

impl<'a> Node<'a> {
    /// The value of a field; `None` where this is no object, the field is absent, or it is `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Node<'a>> {
        let Node::Object(fields) = self else { return None };
        fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| *value)
            .filter(|value| !value.is_null())
    }

    /// Follows field names from object to object; `None` as soon as one is missing.
    #[must_use]
    pub fn path(&self, names: &[&str]) -> Option<Node<'a>> {
        names.iter().try_fold(*self, |node, name| node.get(name))
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Node::Null)
    }

    /// The text of a string; `None` for any other kind.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of an array; empty for any other kind.
    #[must_use]
    pub fn items(&self) -> &'a [Node<'a>] {
        match self {
            Node::List(items) => items,
            _ => &[],
        }
    }

    /// The fields of an object; empty for any other kind.
    #[must_use]
    pub fn fields(&self) -> &'a [(&'a str, Node<'a>)] {
        match self {
            Node::Object(fields) => fields,
            _ => &[],
        }
    }
}

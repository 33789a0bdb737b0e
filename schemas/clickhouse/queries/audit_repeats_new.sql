-- The part of `audit_repeats` that says of an id that a record of it is new.
event_hash IN
  (
      SELECT event_hash
      FROM entries
      WHERE kind = 'usage' AND ordinal = 0
        AND bitAnd(toUInt64(event_hash), {mask:UInt64}) = {slice:UInt64}
        AND ({{ranges}})
  )

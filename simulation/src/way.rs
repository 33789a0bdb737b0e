//! The simpler ways: what one might leave out of the protocol, each with what then goes wrong.

/// One departure from the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The epoch is checked before the commit, without a lock that the revocation takes too.
    EpochCheckedWithoutLock,
    /// After a commit without an answer, the worker stays in the group and announces what it has then.
    GoOnUnanswered,
    /// An error of the client library's own is taken for the broker's answer, and another batch is announced.
    AnotherBatchAfterError,
    /// Who heals uses the tokens of the first try and does not wait: a clean answer is taken for proof.
    CleanAnswerIsProof,
    /// The lease is renewed because the worker believes that it is the owner, without a commit.
    LeaseRenewedByLocalEpoch,
    /// A new owner sends the whole batch again under the first tokens, then reads back.
    SendBeforeReadBack,
    /// Tokens are made of what is missing, and take the place of the wait.
    TokensInsteadOfWait,
    /// The store takes rows however late they come.
    NoLease,
    /// A new owner does not wait for the old one's lease to end.
    NoWait,
    /// The store compares the lease with the time at which the insert began.
    LeaseCheckedAtQueryStart,
    /// Who heals does not look whether inserts of the partition still run.
    RunningInsertsIgnored,
    /// Where the store refuses rows, a smaller range is announced.
    SmallerRangeOnRefusal,
    /// What is there is read from a replica that lags.
    LaggingReplica,
    /// A new owner waits for the length of its own lease, and the old owner's was longer.
    WaitByOwnLease,
    /// The client library sends a commit again by itself, and the first copy is still on its way.
    CommitSentAgain,
    /// Of the records without rows the first is taken for the refused one, though it may be a duplicate, which has none.
    DuplicatesCountAsMissing,
    /// Rows after the batch are taken for a broken ledger, though another owner may have gone on meanwhile.
    OldOwnerRefuses,
    /// Who heals adds the row of `batches` unless the last batch is this one, though another owner may have gone on.
    ClosedUnlessLast,
    /// Rows that the store acknowledged are not on disk yet, and the power fails.
    RowsNotSynced,
}

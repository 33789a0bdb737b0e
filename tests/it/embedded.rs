//! `tollbook up`: everything embedded in one process and its engine, over HTTP, killed and started again.

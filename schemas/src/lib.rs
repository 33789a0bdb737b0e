//! Tollbook: schemas.

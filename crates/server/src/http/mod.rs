//! From bytes on a connection to a request and back.

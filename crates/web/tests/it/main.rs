//! Pages as visitors see them: in process, on an embedded database, by a clock that the test moves.

mod authority;
mod certificate;
mod certificate_request;
mod connection;
mod elsewhere;
mod external;
mod frame;
mod hostile;
mod inventory;
mod permissions;
mod place;
mod renewal;
mod request;
mod sign_in;
mod template;
mod profile;

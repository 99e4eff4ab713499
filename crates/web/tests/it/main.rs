//! Pages as visitors see them: in process, on an embedded database, by a clock that the test moves.

mod certificate;
mod frame;
mod permissions;
mod place;
mod sign_in;
mod template;

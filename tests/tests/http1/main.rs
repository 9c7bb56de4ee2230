//! HTTP/1.1 judged from outside: the rules of RFC 9112 and RFC 9110, the attacks on their readers, and honest traffic
//! that must never be taken for one.

mod bodies;
mod client;
mod cuts;
mod fuzz;
mod heads;
mod kit;
mod lifecycle;

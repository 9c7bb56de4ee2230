//! The cases by name.

use std::rc::Rc;

use crate::heads::{Custom, Heads, Wire};
use crate::replay::Side;
use crate::service::Prost;
use crate::sides::{Client, Cut, Server};
use crate::{parts, replay, service, sides, wire};

/// Does one round and says how many units that was.
pub type Work = Box<dyn FnMut() -> u64>;

/// Something to count.
pub struct Case {
    /// What it is called, such as `server/unary/grpc/0t`.
    pub name: String,
    /// Makes what is not counted: recorded input, tables.
    pub prepare: Box<dyn Fn() -> Work>,
}

impl Case {
    fn new(name: String, prepare: impl Fn() -> Work + 'static) -> Self {
        Self { name, prepare: Box::new(prepare) }
    }

    /// All cases.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut cases = Vec::new();
        for wire in Wire::ALL {
            for custom in Custom::ALL {
                let heads = Heads { wire, custom };
                cases.push(Self::new(format!("server/unary/{}/{}", wire.name(), custom.name()), move || {
                    replay::work(wire::requests(heads), || Box::new(Server::unary()))
                }));
            }
        }
        for wire in Wire::ALL {
            for custom in Custom::ALL {
                let heads = Heads { wire, custom };
                cases.push(Self::new(format!("client/unary/{}/{}", wire.name(), custom.name()), move || {
                    let metadata = sides::metadata(custom);
                    let client =
                        move || Box::new(Client::unary(heads, Rc::clone(&metadata))) as Box<dyn Side>;
                    replay::between(client, || Box::new(Server::unary()))
                }));
            }
        }
        for cut in [Cut::Coalesced, Cut::Single] {
            let name = cut.name();
            cases.push(Self::new(format!("server/receive/grpc/{name}"), move || {
                replay::between(|| Box::new(Server::receiver()), move || Box::new(Client::sender(cut)))
            }));
            cases.push(Self::new(format!("server/send/grpc/{name}"), move || {
                replay::between(move || Box::new(Server::sender(cut)), || Box::new(Client::receiver()))
            }));
            cases.push(Self::new(format!("client/receive/grpc/{name}"), move || {
                replay::between(|| Box::new(Client::receiver()), move || Box::new(Server::sender(cut)))
            }));
            cases.push(Self::new(format!("client/send/grpc/{name}"), move || {
                replay::between(move || Box::new(Client::sender(cut)), || Box::new(Server::receiver()))
            }));
        }
        for custom in Custom::ALL {
            let heads = Heads { wire: Wire::Grpc, custom };
            cases.push(Self::new(format!("part/http2/{}", custom.name()), move || {
                replay::work(wire::requests(heads), || Box::new(parts::Echo::new()))
            }));
            cases.push(Self::new(format!("part/hpack-decode/{}", custom.name()), move || {
                parts::decode(heads)
            }));
        }
        cases.extend(Self::service());
        cases.push(Self::new("part/hpack-encode-answer".into(), parts::encode_answer));
        cases.push(Self::new("part/grpc-timeout".into(), parts::timeout));
        cases.into_iter()
    }

    /// Those of the service layer. Each has a twin above, of the bare engine.
    fn service() -> Vec<Self> {
        let mut cases = Vec::new();
        let served =
            [(Wire::Grpc, false), (Wire::Grpc, true), (Wire::Connect, false), (Wire::Connect1, false)];
        let served = served.map(|(wire, timeout)| Heads { wire, custom: Custom { fields: 0, timeout } });
        for heads in served {
            let name = format!("{}/{}", heads.wire.name(), heads.custom.name());
            cases.push(Self::new(format!("service/unary/{name}"), move || service::server_unary(heads)));
            cases.push(Self::new(format!("service-client/unary/{name}"), move || {
                service::client_unary(heads)
            }));
        }
        for cut in [Cut::Coalesced, Cut::Single] {
            let name = format!("grpc/{}", cut.name());
            cases.push(Self::new(format!("service/receive/{name}"), move || service::server_receive(cut)));
            cases.push(Self::new(format!("service/send/{name}"), move || service::server_send(cut)));
            cases.push(Self::new(format!("service-client/receive/{name}"), move || {
                service::client_receive(cut)
            }));
            cases.push(Self::new(format!("service-client/send/{name}"), move || service::client_send(cut)));
        }
        for what in Prost::ALL {
            cases.push(Self::new(format!("part/prost/{}", what.name()), move || what.work()));
        }
        cases
    }
}

//! One question and its answer, as DNS messages.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::zone::{Data, Zone};

/// Seconds for which answers and denials may be kept: short, because pods come and go.
const TTL_SECONDS: u32 = 5;
/// Largest answer by UDP, when the asker says that it takes that much (DNS flag day 2020).
const UDP_BYTES: u16 = 1232;
/// Largest answer by UDP to an asker that says nothing (RFC 1035 section 4.2.1).
const PLAIN_UDP_BYTES: u16 = 512;

/// What is to be done about a message.
pub(super) enum Verdict {
    /// Send these bytes back.
    Answer(Vec<u8>),
    /// Ask upstream.
    Forward,
    /// The name is an alias of a foreign one: ask upstream for that, and give [`Alias::answer`] what comes.
    Follow(Box<Alias>),
    /// Say nothing: the message is no question.
    Ignore,
}

/// An answer that still lacks what upstream knows about an alias's target.
pub(super) struct Alias {
    asked: Message,
    known: Vec<Record>,
    /// The question for upstream.
    pub(super) question: Vec<u8>,
}

impl Alias {
    /// The whole answer. Without upstream's, the alias alone: that much is true.
    pub(super) fn answer(self, upstream: Option<&[u8]>, limit_udp: bool) -> Option<Vec<u8>> {
        let Self { asked, known: mut answers, .. } = self;
        let mut code = ResponseCode::NoError;
        if let Some(found) = upstream.and_then(|bytes| Message::from_vec(bytes).ok()) {
            code = found.metadata.response_code;
            answers.extend(found.answers);
        }
        match reply(&asked, code, answers, None, limit_udp) {
            Verdict::Answer(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Aliases of aliases that are followed; more are a circle.
const ALIASES: usize = 8;

/// Decides about a message that came in; `limit_udp` cuts long answers and tells the asker to come by TCP.
pub(super) fn decide(zone: Option<&Zone>, bytes: &[u8], limit_udp: bool) -> Verdict {
    let Ok(asked) = Message::from_vec(bytes) else { return refuse_malformed(bytes) };
    if asked.metadata.message_type != MessageType::Query {
        return Verdict::Ignore;
    }
    let [question] = asked.queries.as_slice() else {
        return reply(&asked, ResponseCode::FormErr, Vec::new(), None, limit_udp);
    };
    if asked.metadata.op_code != OpCode::Query {
        return reply(&asked, ResponseCode::NotImp, Vec::new(), None, limit_udp);
    }
    let Some(zone) = zone else {
        // Before the first snapshot nobody can tell a missing name from an unknown one.
        return reply(&asked, ResponseCode::ServFail, Vec::new(), None, limit_udp);
    };
    let name = question.name().to_ascii().trim_end_matches('.').to_lowercase();
    if !zone.owns(&name) {
        return Verdict::Forward;
    }
    answer(zone, &asked, question, name, limit_udp)
}

/// Answers a question about a name of the zone. Stub resolvers don't follow aliases, so what an alias leads to comes
/// with it (RFC 1034 section 4.3.2, step 3a).
fn answer(zone: &Zone, asked: &Message, question: &Query, name: String, limit_udp: bool) -> Verdict {
    let (mut known, mut name, mut owner) = (Vec::new(), name, question.name().clone());
    for _ in 0..ALIASES {
        let Some(records) = zone.look_up(&name) else {
            // The alias is there; only what it leads to is not (RFC 2308 section 2.1).
            return reply(asked, ResponseCode::NXDomain, known, Some(zone), limit_udp);
        };
        let mut found: Vec<Record> = records.iter().filter_map(|data| record(question, &owner, data)).collect();
        if found.len() > 1 {
            let turn = usize::from(asked.metadata.id) % found.len();
            found.rotate_left(turn); // Spreads askers that take the first address.
        }
        known.extend(found);
        let alias = records.iter().find_map(|data| match data {
            Data::Alias(target) if question.query_type() != RecordType::CNAME => absolute(target).zip(Some(target)),
            _ => None,
        });
        let Some((next, target)) = alias else { break };
        if !zone.owns(target) {
            return follow(asked, question, known, next);
        }
        (owner, name) = (next, target.clone());
    }
    let denial = known.is_empty().then_some(zone);
    reply(asked, ResponseCode::NoError, known, denial, limit_udp)
}

fn follow(asked: &Message, question: &Query, known: Vec<Record>, target: Name) -> Verdict {
    let mut message = Message::query();
    message.metadata.id = asked.metadata.id;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(target, question.query_type()));
    match message.to_vec() {
        Ok(question) => Verdict::Follow(Box::new(Alias { asked: asked.clone(), known, question })),
        Err(_) => reply(asked, ResponseCode::NoError, known, None, true),
    }
}

/// The answer when no upstream server could be asked.
pub(super) fn upstream_failed(bytes: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(bytes).ok()?;
    match reply(&asked, ResponseCode::ServFail, Vec::new(), None, true) {
        Verdict::Answer(bytes) => Some(bytes),
        _ => None,
    }
}

fn refuse_malformed(bytes: &[u8]) -> Verdict {
    // The id stands in the first two bytes, the query flag in the highest bit of the third (RFC 1035 section 4.1.1).
    let [high, low, flags, ..] = bytes else { return Verdict::Ignore };
    if bytes.len() < 12 || flags & 0x80 != 0 {
        return Verdict::Ignore;
    }
    let message = Message::error_msg(u16::from_be_bytes([*high, *low]), OpCode::Query, ResponseCode::FormErr);
    message.to_vec().map_or(Verdict::Ignore, Verdict::Answer)
}

fn reply(asked: &Message, code: ResponseCode, answers: Vec<Record>, denial: Option<&Zone>, limit_udp: bool) -> Verdict {
    let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
    message.metadata.authoritative = code != ResponseCode::ServFail;
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.queries.clone_from(&asked.queries);
    message.add_answers(answers);
    if let Some(soa) = denial.and_then(|zone| start_of_authority(zone.domain())) {
        message.add_authority(soa);
    }
    let room = match &asked.edns {
        Some(theirs) => {
            let mut ours = Edns::new();
            ours.set_max_payload(UDP_BYTES);
            message.set_edns(ours);
            theirs.max_payload().clamp(PLAIN_UDP_BYTES, UDP_BYTES)
        }
        None => PLAIN_UDP_BYTES,
    };
    let Ok(bytes) = message.to_vec() else { return Verdict::Ignore };
    if !limit_udp || bytes.len() <= usize::from(room) {
        return Verdict::Answer(bytes);
    }
    message.truncate().to_vec().map_or(Verdict::Ignore, Verdict::Answer)
}

fn record(question: &Query, owner: &Name, data: &Data) -> Option<Record> {
    let any = question.query_type() == RecordType::ANY;
    let asked = |kind| any || question.query_type() == kind;
    let data = match data {
        Data::Address(IpAddr::V4(address)) if asked(RecordType::A) => RData::A(A(*address)),
        Data::Address(IpAddr::V6(address)) if asked(RecordType::AAAA) => RData::AAAA(AAAA(*address)),
        // An alias answers every question about its name (RFC 1034 section 3.6.2).
        Data::Alias(target) => RData::CNAME(CNAME(absolute(target)?)),
        Data::Service { port, target } if asked(RecordType::SRV) => {
            RData::SRV(SRV::new(0, 100, *port, absolute(target)?))
        }
        Data::Pointer(target) if asked(RecordType::PTR) => RData::PTR(PTR(absolute(target)?)),
        Data::Text(text) if asked(RecordType::TXT) => RData::TXT(TXT::new(vec![(*text).to_owned()])),
        _ => return None,
    };
    Some(Record::from_rdata(owner.clone(), TTL_SECONDS, data))
}

fn absolute(name: &str) -> Option<Name> {
    Name::from_ascii(format!("{name}.")).ok()
}

fn start_of_authority(domain: &str) -> Option<Record> {
    let server = absolute(&format!("ns.dns.{domain}"))?;
    let person = absolute(&format!("hostmaster.{domain}"))?;
    let soa = SOA::new(server, person, 1, 7200, 1800, 86400, TTL_SECONDS);
    Some(Record::from_rdata(absolute(domain)?, TTL_SECONDS, RData::SOA(soa)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Services;

    fn ask(name: &str, kind: RecordType) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.id = 7;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.to_vec().unwrap()
    }

    fn answer(bytes: &[u8]) -> Message {
        let zone = Zone::project(&Services::default(), "cluster.local");
        match decide(Some(&zone), bytes, true) {
            Verdict::Answer(bytes) => Message::from_vec(&bytes).unwrap(),
            Verdict::Forward | Verdict::Follow(_) => panic!("forwarded"),
            Verdict::Ignore => panic!("ignored"),
        }
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        let message = answer(&ask("DNS-Version.Cluster.Local.", RecordType::TXT));
        assert_eq!((message.metadata.id, message.metadata.response_code), (7, ResponseCode::NoError));
        assert_eq!(message.answers.len(), 1);
    }

    #[test]
    fn a_missing_name_and_a_missing_type_are_told_apart() {
        let missing = answer(&ask("no.shop.svc.cluster.local.", RecordType::A));
        assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
        let no_data = answer(&ask("dns-version.cluster.local.", RecordType::A));
        assert_eq!(no_data.metadata.response_code, ResponseCode::NoError);
        for message in [missing, no_data] {
            assert!(message.answers.is_empty());
            assert_eq!(message.authorities.len(), 1, "a denial says how long it may be kept");
        }
    }

    #[test]
    fn foreign_names_are_forwarded_and_nonsense_is_answered_shortly() {
        let zone = Zone::project(&Services::default(), "cluster.local");
        assert!(matches!(decide(Some(&zone), &ask("example.com.", RecordType::A), true), Verdict::Forward));
        let mut cut = ask("example.com.", RecordType::A);
        cut.truncate(cut.len() - 3);
        assert_eq!(answer(&cut).metadata.response_code, ResponseCode::FormErr);
        for nonsense in [&[][..], &[0; 5], &[0xff; 40]] {
            assert!(matches!(decide(Some(&zone), nonsense, true), Verdict::Ignore));
        }
        assert!(matches!(decide(None, &ask("example.com.", RecordType::A), true), Verdict::Answer(_)));
    }

    #[test]
    fn what_an_alias_leads_to_comes_with_it() {
        let services = serde_json::json!({"items": [
            {"metadata": {"name": "near", "namespace": "a"}, "spec": {"type": "ExternalName", "externalName": "web.a.svc.cluster.local"}},
            {"metadata": {"name": "far", "namespace": "a"}, "spec": {"type": "ExternalName", "externalName": "example.com"}},
            {"metadata": {"name": "round", "namespace": "a"}, "spec": {"type": "ExternalName", "externalName": "round.a.svc.cluster.local"}},
            {"metadata": {"name": "web", "namespace": "a"}, "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]}},
        ]});
        let mut all = Services::default();
        for item in services["items"].as_array().unwrap() {
            let service: k8s_openapi::api::core::v1::Service = serde_json::from_value(item.clone()).unwrap();
            let named = (service.metadata.namespace.clone().unwrap(), service.metadata.name.clone().unwrap());
            all.services.insert(named, std::sync::Arc::new(service));
        }
        let zone = Zone::project(&all, "cluster.local");
        let decide = |name: &str| decide(Some(&zone), &ask(name, RecordType::A), true);
        let Verdict::Answer(near) = decide("near.a.svc.cluster.local.") else { panic!("no answer") };
        let near = Message::from_vec(&near).unwrap();
        assert_eq!((near.answers.len(), near.answers[1].name.to_ascii().as_str()), (2, "web.a.svc.cluster.local."));
        assert!(matches!(decide("round.a.svc.cluster.local."), Verdict::Answer(_)));

        let Verdict::Follow(alias) = decide("far.a.svc.cluster.local.") else { panic!("not followed") };
        let mut upstream = Message::from_vec(&alias.question).unwrap();
        assert_eq!(upstream.queries[0].name().to_ascii(), "example.com.");
        let address = RData::A(A("192.0.2.9".parse().unwrap()));
        upstream.add_answers([Record::from_rdata(absolute("example.com").unwrap(), 60, address)]);
        let whole = alias.answer(Some(&upstream.to_vec().unwrap()), true).unwrap();
        assert_eq!(Message::from_vec(&whole).unwrap().answers.len(), 2);
        let Verdict::Follow(alias) = decide("far.a.svc.cluster.local.") else { panic!("not followed") };
        assert_eq!(Message::from_vec(&alias.answer(None, true).unwrap()).unwrap().answers.len(), 1);
    }
}

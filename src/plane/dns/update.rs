//! Messages of RFC 2136. PURE.
//!
//! A message names the version of the zone and every record of the name as they were seen; a server for which one of them is
//! not so changes nothing (RFC 2136, 2.4.2 and 3.2). The version is what tells a name that came back to where it was from one
//! that stood still: whoever was frozen over that writes nothing either.

use core::net::IpAddr;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::records::{Family, Records};

/// A message that brings a name from what it was seen to be to something else.
pub(super) fn message(zone: &Name, name: &Name, soa: &SOA, seen: &Records, wanted: &Records) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    // A prerequisite has no TTL, and all records of a type are one.
    message.add_answer(Record::from_rdata(zone.clone(), 0, RData::SOA(soa.clone())));
    for family in Family::ALL {
        match seen.get(&family) {
            Some(set) => {
                let records = set.addresses.iter().map(|address| record(name, 0, address));
                message.add_answers(records);
            }
            None => {
                let mut none = Record::update0(name.clone(), 0, kind(family));
                none.dns_class = DNSClass::NONE;
                message.add_answer(none);
            }
        }
        if seen.get(&family) == wanted.get(&family) {
            continue;
        }
        let mut all = Record::update0(name.clone(), 0, kind(family));
        all.dns_class = DNSClass::ANY;
        message.add_authority(all);
        if let Some(set) = wanted.get(&family) {
            message.add_authorities(set.addresses.iter().map(|address| record(name, set.ttl, address)));
        }
    }
    message
}

fn record(name: &Name, ttl: u32, address: &IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(*address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
    };
    Record::from_rdata(name.clone(), ttl, data)
}

fn kind(family: Family) -> RecordType {
    match family {
        Family::A => RecordType::A,
        Family::Aaaa => RecordType::AAAA,
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::Set;
    use super::*;

    #[test]
    fn names_all_that_was_seen_and_writes_only_the_family_that_changes() {
        let (zone, name) = (Name::from_ascii("example.com.").unwrap(), Name::from_ascii("shop.example.com.").unwrap());
        let soa = SOA::new(zone.clone(), zone.clone(), 7, 1, 1, 1, 1);
        let set = |ttl, addresses: &[&str]| Set {
            ttl,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let seen: Records = [(Family::A, set(30, &["192.0.2.1", "192.0.2.2"]))].into();
        let wanted = [(Family::A, set(30, &["192.0.2.3"]))].into();
        let written = message(&zone, &name, &soa, &seen, &wanted);
        let told = |records: &[Record]| -> Vec<(DNSClass, RecordType, u32, String)> {
            let told = |record: &Record| (record.dns_class, record.record_type(), record.ttl, record.data.to_string());
            records.iter().map(told).collect()
        };
        let prerequisites = told(&written.answers);
        assert_eq!((prerequisites[0].0, prerequisites[0].1, prerequisites[0].2), (DNSClass::IN, RecordType::SOA, 0));
        assert!(prerequisites[0].3.contains(" 7 "), "{prerequisites:?}");
        assert_eq!(prerequisites[1], (DNSClass::IN, RecordType::A, 0, "192.0.2.1".to_owned()));
        assert_eq!(prerequisites[2], (DNSClass::IN, RecordType::A, 0, "192.0.2.2".to_owned()));
        assert_eq!((prerequisites[3].0, prerequisites[3].1), (DNSClass::NONE, RecordType::AAAA));
        let updates = told(&written.authorities);
        assert_eq!((updates[0].0, updates[0].1), (DNSClass::ANY, RecordType::A));
        assert_eq!(updates[1..], [(DNSClass::IN, RecordType::A, 30, "192.0.2.3".to_owned())]);
        let bytes = written.to_vec().unwrap();
        assert_eq!(Message::from_vec(&bytes).unwrap().op_code, OpCode::Update);
    }
}

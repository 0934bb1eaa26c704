//! Conversations with a server of DNS, over TCP, where no answer is cut short and none is somebody else's. IO.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{Name, RData, Record, RecordType, TSigner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::records::{Family, Records, Set};
use crate::observe::clock::Clock;
use crate::plane::PlaneError;

/// A server with authority answers from memory within milliseconds; two seconds mean that it hangs or is gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Conversation {
    server: SocketAddr,
    stream: TcpStream,
}

/// What is asked about.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) zone: Name,
    pub(super) name: Name,
}

/// What one server shows.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The zone's SOA, whose serial is its version.
    pub(super) soa: SOA,
    pub(super) records: Records,
}

async fn in_time<T>(server: SocketAddr, io: impl Future<Output = io::Result<T>>) -> Result<T, PlaneError> {
    let address = || format!("the server {server}");
    match timeout(PATIENCE, io).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(PlaneError::Malformed { what: format!("half an answer of {}", address()) })
        }
        Ok(Err(source)) => Err(PlaneError::Unreachable { address: address(), source }),
        Err(_) => Err(PlaneError::TimedOut { address: address(), seconds: PATIENCE.as_secs() }),
    }
}

impl Conversation {
    pub(super) async fn open(server: SocketAddr) -> Result<Self, PlaneError> {
        Ok(Self { server, stream: in_time(server, TcpStream::connect(server)).await? })
    }

    fn malformed(&self, what: impl std::fmt::Display) -> PlaneError {
        PlaneError::Malformed { what: format!("{what} of the server {}", self.server) }
    }

    fn is_not_there(&self, what: impl std::fmt::Display) -> PlaneError {
        PlaneError::NotFound { what: format!("{what} on the server {}", self.server) }
    }

    async fn exchange(&mut self, message: &[u8]) -> Result<Vec<u8>, PlaneError> {
        let length = u16::try_from(message.len()).map_err(|_| self.malformed("a message that is too long"))?;
        let stream = &mut self.stream;
        let exchange = async {
            stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
            let mut answer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        in_time(self.server, exchange).await
    }

    /// Sends a message, signed if there is a signer, and reads its answer.
    pub(super) async fn ask(&mut self, mut message: Message, signer: Option<&TSigner>) -> Result<Message, PlaneError> {
        let unfit = |error: ProtoError| PlaneError::Malformed { what: format!("a message to send ({error})") };
        let now = u64::try_from(Clock::start().now().as_second()).unwrap_or_default();
        let verifier = match signer {
            Some(signer) => message.finalize(signer, now).map_err(unfit)?,
            None => None,
        };
        let bytes = self.exchange(&message.to_vec().map_err(unfit)?).await?;
        let answer = Message::from_vec(&bytes).map_err(|error| self.malformed(format_args!("an answer ({error})")))?;
        if answer.id != message.id || answer.message_type != MessageType::Response || answer.op_code != message.op_code
        {
            return Err(self.malformed("an answer to something else"));
        }
        if answer.truncation {
            return Err(self.malformed("a truncated answer"));
        }
        if let Some(mut verifier) = verifier {
            let name = signer.map(|signer| signer.signer_name().to_string()).unwrap_or_default();
            if let Some(error) = answer.signature().and_then(|signature| signature.data.error) {
                return Err(self.refused(&message, &of_key(error, &name)));
            }
            if let Err(error) = verifier.verify(&bytes) {
                // Who refuses everything need not sign it.
                if answer.signature().is_none() && answer.response_code != ResponseCode::NoError {
                    return Err(self.refused(&message, &answer.response_code.to_string()));
                }
                return Err(self.malformed(format_args!("the signature ({error})")));
            }
        }
        Ok(answer)
    }

    /// The error that the server's `no` is.
    pub(super) fn refused(&self, message: &Message, answer: &str) -> PlaneError {
        let about = message.queries.first().map(Query::to_string).unwrap_or_default();
        let command = match message.op_code {
            OpCode::Update => format!("update of {about} at {}", self.server),
            _ => format!("{about} at {}", self.server),
        };
        PlaneError::Refused { command, answer: answer.to_owned() }
    }

    /// The error of a name or a zone that the server knows nothing of.
    pub(super) fn knows_nothing_of(&self, zone: &Name, code: ResponseCode) -> PlaneError {
        self.is_not_there(format_args!("authority over the zone {zone} (it answers {code})"))
    }

    /// The answers to a question, of somebody who has authority.
    async fn answers(
        &mut self,
        names: &Names,
        name: &Name,
        kind: RecordType,
        signer: Option<&TSigner>,
    ) -> Result<Vec<Record>, PlaneError> {
        let mut question = Message::query();
        question.add_query(Query::query(name.clone(), kind));
        let answer = self.ask(question.clone(), signer).await?;
        match answer.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain if answer.authoritative => Ok(answer.answers),
            // Of others' zones some say no and some what they have heard.
            ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::Refused | ResponseCode::NotAuth => {
                Err(self.knows_nothing_of(&names.zone, answer.response_code))
            }
            code => Err(self.refused(&question, &code.to_string())),
        }
    }

    /// What the server shows of a name. With a `signer`, whether the server knows the key and the time too.
    pub(super) async fn look(&mut self, names: &Names, signer: Option<&TSigner>) -> Result<Shown, PlaneError> {
        // The version is read first: a change that comes in between makes it an old one, and a write that names it fails.
        let soa = self.answers(names, &names.zone, RecordType::SOA, signer).await?;
        let soa = soa.into_iter().filter(|record| record.name == names.zone).find_map(|record| match record.data {
            RData::SOA(soa) => Some(soa),
            _ => None,
        });
        let soa = soa.ok_or_else(|| self.is_not_there(format_args!("the zone {}", names.zone)))?;
        let mut records = Records::new();
        for (family, kind) in [(Family::A, RecordType::A), (Family::Aaaa, RecordType::AAAA)] {
            for record in self.answers(names, &names.name, kind, None).await? {
                let address = match record.data {
                    RData::A(address) => address.0.into(),
                    RData::AAAA(address) => address.0.into(),
                    RData::CNAME(alias) => {
                        let what = format!("an address record of {}, which is an alias of {},", names.name, alias.0);
                        return Err(self.is_not_there(what));
                    }
                    _ => continue,
                };
                let set = records.entry(family).or_insert_with(|| Set { ttl: record.ttl, addresses: [].into() });
                set.addresses.insert(address);
            }
        }
        Ok(Shown { soa, records })
    }
}

fn of_key(error: TsigError, name: &str) -> String {
    match error {
        TsigError::BadKey => format!("BADKEY: it does not know the key {name}, or with another algorithm"),
        TsigError::BadSig => format!("BADSIG: its secret of the key {name} is another one"),
        TsigError::BadTime => "BADTIME: its clock is more than 5 minutes off ours".to_owned(),
        TsigError::BadTrunc => "BADTRUNC: it wants longer signatures".to_owned(),
        TsigError::Unknown(code) => format!("error {code} of TSIG"),
    }
}

//! Redis as the place where replicas meet: a stream for what they tell, a hash of who is there, plain keys for the rest.
//!
//! The one file that names the client. A meeting is one pipeline, so one round trip; there are no scripts, so it also runs
//! where those are forbidden. The server's clock is the one that all share. A connection that failed is dropped and made anew
//! at the next meeting: what may have arrived over it is told apart by its number.
//!
//! It needs Redis 6.2 or what speaks like it (Valkey). All keys carry the prefix in braces and so lie on one node of a
//! cluster; following a cluster's redirections is not done here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis_client::aio::MultiplexedConnection;
use redis_client::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, RedisError, Value,
};

use super::exchange::{Answer, Batch, Exchange, ExchangeFault, Pull, Push};

/// Reads a password when a connection is made: a mounted one changes while the router runs.
pub type Password = Arc<dyn Fn() -> Result<Box<str>, ExchangeFault> + Send + Sync>;

/// Where a Redis is and how it is spoken to.
#[derive(Clone)]
pub struct RedisAddress {
    /// `redis://host:port/database`, or `rediss://` for TLS; no secret in it.
    pub url: Box<str>,
    /// Who connects, where it has users.
    pub username: Option<Box<str>>,
    /// The password, where it asks for one.
    pub password: Option<Password>,
    /// What all keys begin with: routers of one prefix are one set of replicas.
    pub prefix: Box<str>,
    /// After this time a meeting or a connection has failed.
    pub patience: Duration,
    /// For how long what was told is kept for those who come late.
    pub keep: Duration,
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, prefix, .. } = self;
        out.debug_struct("RedisAddress").field("url", url).field("prefix", prefix).finish()
    }
}

/// A Redis where replicas meet.
pub struct RedisExchange {
    address: RedisAddress,
    log: String,
    members: String,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl fmt::Debug for RedisExchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(out)
    }
}

/// The most batches read at once.
const MOST_READ: usize = 256;

/// For how long values by key are kept: stored responses live for 30 days.
const VALUES_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Before all entries of a stream.
const START: &str = "0-0";

/// An entry of a stream: its id and its fields.
type Entry = (String, BTreeMap<String, String>);

impl RedisExchange {
    /// Nothing is connected before the first meeting.
    ///
    /// # Errors
    /// The address is not one of Redis.
    pub fn new(address: RedisAddress) -> Result<Self, ExchangeFault> {
        Client::open(&*address.url).map_err(|error| fault(&error))?;
        let key = |what: &str| format!("{{{}}}:{what}", address.prefix);
        let (log, members) = (key("log"), key("members"));
        Ok(Self { address, log, members, connection: Mutex::default() })
    }

    fn value_key(&self, key: &str) -> String {
        format!("{{{}}}:value:{key}", self.address.prefix)
    }

    fn lock(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connected(&self) -> Result<MultiplexedConnection, ExchangeFault> {
        let known = self.lock().clone();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let RedisAddress { url, username, password, patience, .. } = &self.address;
        let info = (&**url).into_connection_info().map_err(|error| fault(&error))?;
        let mut settings = info.redis_settings().clone();
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password()?);
        }
        let client =
            Client::open(info.set_redis_settings(settings)).map_err(|error| fault(&error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(*patience))
            .set_response_timeout(Some(*patience));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = connection.map_err(|error| fault(&error))?;
        *self.lock() = Some(connection.clone());
        Ok(connection)
    }

    /// The commands of a meeting. The answers that count come first, in this order: time, log, members.
    fn pipeline(&self, push: &Push) -> Pipeline {
        let mut pipe = redis_client::pipe();
        pipe.cmd("TIME");
        match &push.read {
            Some(read) => pipe
                .cmd("XRANGE")
                .arg(&self.log)
                .arg(format!("({read}"))
                .arg("+")
                .arg("COUNT")
                .arg(MOST_READ),
            None => pipe.cmd("XREVRANGE").arg(&self.log).arg("+").arg("-").arg("COUNT").arg(1),
        };
        if push.beat {
            pipe.cmd("HGETALL").arg(&self.members);
        }
        if let Some((number, text)) = &push.batch {
            let keep = u64::try_from(self.address.keep.as_millis()).unwrap_or(u64::MAX);
            let oldest = (push.micros / 1_000).saturating_sub(keep);
            let add = pipe.cmd("XADD").arg(&self.log).arg("MINID").arg("~").arg(oldest).arg("*");
            add.arg("r").arg(&*push.replica).arg("n").arg(*number).arg("b").arg(&**text).ignore();
        }
        if let Some(report) = &push.report {
            pipe.cmd("HSET").arg(&self.members).arg(&*push.replica).arg(&**report).ignore();
            let keep = millis(self.address.keep);
            for key in [&self.log, &self.members] {
                pipe.cmd("PEXPIRE").arg(key).arg(keep).ignore();
            }
        }
        for gone in &push.gone {
            pipe.cmd("HDEL").arg(&self.members).arg(&**gone).ignore();
        }
        for (key, value) in &push.kept {
            let key = self.value_key(key);
            match value {
                Some(value) => {
                    let set = pipe.cmd("SET").arg(key).arg(&**value);
                    set.arg("PX").arg(millis(VALUES_KEPT)).ignore()
                }
                None => pipe.cmd("DEL").arg(key).ignore(),
            };
        }
        pipe
    }

    async fn met(&self, push: &Push) -> Result<Pull, ExchangeFault> {
        let mut connection = self.connected().await?;
        let answers: Result<Vec<Value>, RedisError> =
            self.pipeline(push).query_async(&mut connection).await;
        let answers = answers.map_err(|error| {
            self.lock().take();
            fault(&error)
        })?;
        let mut answers = answers.into_iter();
        let (seconds, micros): (u64, u64) = read(answers.next())?;
        let log: Vec<Entry> = read(answers.next())?;
        let members: Option<BTreeMap<String, String>> =
            push.beat.then(|| read(answers.next())).transpose()?;
        let micros = seconds.saturating_mul(1_000_000).saturating_add(micros);
        let last = log.last().map(|(id, _)| id.clone().into_boxed_str());
        let (read, more) = match &push.read {
            None => (last.or_else(|| Some(START.into())), false),
            // Another server, whose clock is behind: its log is read from the start, and numbers tell what was heard.
            Some(read) if ahead(read, micros) => (Some(START.into()), true),
            Some(_) => (last, log.len() >= MOST_READ),
        };
        let batches = match &push.read {
            None => Vec::new(),
            Some(_) => log.into_iter().filter_map(batch).collect(),
        };
        let reports = members.map(|members| members.into_values().map(Into::into).collect());
        Ok(Pull { micros, read, batches, more, reports })
    }

    async fn found(&self, keys: &[Box<str>]) -> Result<Vec<Option<Box<str>>>, ExchangeFault> {
        // A request does not wait for a connection.
        let connection = self.lock().clone();
        let mut connection = connection.ok_or_else(|| ExchangeFault("not connected".into()))?;
        let mut command = redis_client::cmd("MGET");
        for key in keys {
            command.arg(self.value_key(key));
        }
        let values: Result<Vec<Option<String>>, RedisError> =
            command.query_async(&mut connection).await;
        let values = values.map_err(|error| fault(&error))?;
        Ok(values.into_iter().map(|value| value.map(Into::into)).collect())
    }
}

impl Exchange for RedisExchange {
    fn meet<'e>(&'e self, push: &'e Push) -> Answer<'e, Pull> {
        Box::pin(self.met(push))
    }

    fn find<'e>(&'e self, keys: &'e [Box<str>]) -> Answer<'e, Vec<Option<Box<str>>>> {
        Box::pin(self.found(keys))
    }
}

fn batch((_, mut fields): Entry) -> Option<Batch> {
    let replica = fields.remove("r")?.into();
    let number = fields.get("n")?.parse().ok()?;
    Some(Batch { replica, number, text: fields.remove("b")?.into() })
}

/// True where a place in the log lies more than a second ahead of the clock.
fn ahead(read: &str, micros: u64) -> bool {
    let at: Option<u64> = read.split_once('-').and_then(|(millis, _)| millis.parse().ok());
    at.is_some_and(|at| at > micros / 1_000 + 1_000)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn read<T: redis_client::FromRedisValue>(answer: Option<Value>) -> Result<T, ExchangeFault> {
    let answer = answer.ok_or_else(|| ExchangeFault("an answer is missing".into()))?;
    T::from_redis_value(answer).map_err(|error| ExchangeFault(error.to_string().into()))
}

/// What the client says, which may name the host and never the password.
fn fault(error: &RedisError) -> ExchangeFault {
    ExchangeFault(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_ahead_of_the_clock_is_another_servers() {
        assert!(ahead("1700000002500-0", 1_700_000_001_000_000));
        assert!(!ahead("1700000002500-0", 1_700_000_002_000_000));
        assert!(!ahead("start", 0));
    }

    #[test]
    fn an_address_shows_no_secret_and_must_be_one() {
        let address = |url: &str| RedisAddress {
            url: url.into(),
            username: None,
            password: Some(Arc::new(|| Ok("hidden-word".into()))),
            prefix: "p".into(),
            patience: Duration::from_secs(1),
            keep: Duration::from_secs(10),
        };
        let exchange = RedisExchange::new(address("redis://127.0.0.1:1/0")).unwrap();
        assert!(!format!("{exchange:?}").contains("hidden"));
        assert_eq!(exchange.value_key("x"), "{p}:value:x");
        assert!(RedisExchange::new(address("http://127.0.0.1")).is_err());
    }
}

//! Redis as the place where replicas meet: a stream for what they tell, a hash of who is there, one of what keys spent, plain
//! keys for the rest.
//!
//! The one file that names the client. A meeting is one pipeline, so one round trip; there are no scripts, so it also runs
//! where those are forbidden. The server's clock is the one that all share. A connection that failed is dropped and made anew
//! at the next meeting: what may have arrived over it is told apart by its number.
//!
//! It needs Redis 6.2 or what speaks like it (Valkey). All keys carry the prefix in braces and so lie on one node of a
//! cluster; following a cluster's redirections is not done here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
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
        // Whoever writes a password into the address all the same does not read it in a log.
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let url = format!("{scheme}://{host}");
        out.debug_struct("RedisAddress").field("url", &url).field("prefix", prefix).finish()
    }
}

/// A Redis where replicas meet.
pub struct RedisExchange {
    address: RedisAddress,
    log: String,
    members: String,
    spent: String,
    connection: Mutex<Option<MultiplexedConnection>>,
    /// The log is of a clock that went ahead of the server's: it is to be dropped.
    stale: AtomicBool,
}

impl fmt::Debug for RedisExchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(out)
    }
}

/// The most batches read at once.
const MOST_READ: usize = 256;

/// What keys spent is kept for longer than a month after the last of it.
const SPENT_KEPT: Duration = Duration::from_secs(40 * 24 * 3_600);

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
        let (log, members, spent) = (key("log"), key("members"), key("spent"));
        Ok(Self {
            address,
            log,
            members,
            spent,
            connection: Mutex::default(),
            stale: AtomicBool::default(),
        })
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

    /// The commands of a meeting. The answers that count come in this order: time, log, members, what was spent, how many
    /// figures of it there are.
    fn pipeline(&self, push: &Push) -> Pipeline {
        let mut pipe = redis_client::pipe();
        if self.stale.swap(false, Ordering::Relaxed) {
            pipe.cmd("DEL").arg(&self.log).ignore();
        }
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
        if push.all_spent {
            pipe.cmd("HGETALL").arg(&self.spent);
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
        self.spend(&mut pipe, push);
        pipe
    }

    fn spend(&self, pipe: &mut Pipeline, push: &Push) {
        if !push.spent.is_empty() {
            let set = pipe.cmd("HSET").arg(&self.spent);
            for (name, figure) in &push.spent {
                set.arg(&**name).arg(&**figure);
            }
            set.ignore();
            pipe.cmd("PEXPIRE").arg(&self.spent).arg(millis(SPENT_KEPT)).ignore();
        }
        if !push.ended.is_empty() {
            let delete = pipe.cmd("HDEL").arg(&self.spent);
            for name in &push.ended {
                delete.arg(&**name);
            }
            delete.ignore();
        }
        if push.beat {
            pipe.cmd("HLEN").arg(&self.spent);
        }
    }

    async fn met(&self, push: &Push) -> Result<Pull, ExchangeFault> {
        let mut connection = self.connected().await?;
        let doubt = Doubt(self);
        let answers: Result<Vec<Value>, RedisError> =
            self.pipeline(push).query_async(&mut connection).await;
        let answers = answers.map_err(|error| fault(&error))?;
        doubt.over();
        let mut answers = answers.into_iter();
        let (seconds, micros): (u64, u64) = read(answers.next())?;
        let log: Vec<Entry> = read(answers.next())?;
        let members: Option<BTreeMap<String, String>> =
            push.beat.then(|| read(answers.next())).transpose()?;
        let spent: Option<BTreeMap<String, String>> =
            push.all_spent.then(|| read(answers.next())).transpose()?;
        let spent_count = push.beat.then(|| read(answers.next())).transpose()?;
        let micros = seconds.saturating_mul(1_000_000).saturating_add(micros);
        let last = log.last().map(|(id, _)| id.clone().into_boxed_str());
        // The server's clock was set back. Its log would go on at the old time, where nothing of it is ever old enough to go.
        if last.as_deref().is_some_and(|last| ahead(last, micros)) {
            self.stale.store(true, Ordering::Relaxed);
        }
        let (read, more) = match &push.read {
            None => (last.or_else(|| Some(START.into())), false),
            // Another server, whose clock is behind: its log is read from the start, and numbers tell what was heard.
            Some(read) if ahead(read, micros) => (Some(START.into()), true),
            Some(_) => (last, log.len() >= MOST_READ),
        };
        let batches = match &push.read {
            None => Vec::new(),
            Some(_) => log.into_iter().filter_map(|(_, fields)| batch(fields)).collect(),
        };
        let reports = members.map(|members| members.into_values().map(Into::into).collect());
        let text = |(name, figure): (String, String)| (name.into(), figure.into());
        let spent = spent.map(|spent| spent.into_iter().map(text).collect());
        Ok(Pull { micros, read, batches, more, reports, spent, spent_count })
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

    async fn claimed(&self, key: &str) -> Result<bool, ExchangeFault> {
        let connection = self.lock().clone();
        let mut connection = connection.ok_or_else(|| ExchangeFault("not connected".into()))?;
        let mut command = redis_client::cmd("SET");
        command.arg(self.value_key(key)).arg("1").arg("NX").arg("PX").arg(millis(VALUES_KEPT));
        let set: Result<Option<String>, RedisError> = command.query_async(&mut connection).await;
        Ok(set.map_err(|error| fault(&error))?.is_some())
    }
}

impl Exchange for RedisExchange {
    fn meet<'e>(&'e self, push: &'e Push) -> Answer<'e, Pull> {
        Box::pin(self.met(push))
    }

    fn find<'e>(&'e self, keys: &'e [Box<str>]) -> Answer<'e, Vec<Option<Box<str>>>> {
        Box::pin(self.found(keys))
    }

    fn claim<'e>(&'e self, key: &'e str) -> Answer<'e, bool> {
        Box::pin(self.claimed(key))
    }
}

/// While an answer is awaited: where it fails, or is not waited for any longer, the connection is dropped. One whose other end
/// is gone without a word would else be asked for as long as the system takes to notice.
struct Doubt<'e>(&'e RedisExchange);

impl Doubt<'_> {
    /// It was answered.
    fn over(self) {
        std::mem::forget(self);
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.lock().take();
    }
}

fn batch(mut fields: BTreeMap<String, String>) -> Option<Batch> {
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
        let careless = format!("{:?}", address("rediss://me:hidden@redis.example.com:6379/0"));
        assert!(
            !careless.contains("hidden") && careless.contains("redis.example.com"),
            "{careless}"
        );
    }

    /// A server that lets in and then says nothing, as one behind a broken network does.
    #[tokio::test]
    async fn a_connection_that_gave_no_answer_in_time_is_not_asked_again() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let exchange = RedisExchange::new(RedisAddress {
            url: format!("redis://{}/0", server.local_addr().unwrap()).into(),
            username: None,
            password: None,
            prefix: "p".into(),
            patience: Duration::from_secs(20),
            keep: Duration::from_secs(10),
        });
        let (exchange, push) = (exchange.unwrap(), Push::default());
        let mut held = Vec::new();
        for _ in 0..2 {
            // Given up by who asks, as the replicas do, long before the client's own patience ends.
            let asked = tokio::time::timeout(Duration::from_millis(200), exchange.meet(&push));
            let (asked, came) = tokio::join!(asked, greeted(&server));
            assert!(asked.is_err(), "{asked:?}");
            held.push(came);
            assert!(exchange.lock().is_none());
        }
    }

    /// A new connection, whose greeting is answered, and nothing after it.
    async fn greeted(server: &tokio::net::TcpListener) -> tokio::net::TcpStream {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = server.accept().await.unwrap();
        let mut asked = [0; 4_096];
        let count = stream.read(&mut asked).await.unwrap();
        assert!(count > 0 && !String::from_utf8_lossy(&asked).contains("XREVRANGE"));
        stream.write_all(b"+OK\r\n+OK\r\n").await.unwrap();
        stream
    }
}

//! Redis as the exchange: a stream of changes, sorted sets of cooldowns and of routers, a hash of
//! spending, and plain keys for the rest.
//!
//! The only file that names the client. A sync is one pipeline, so one round trip. There are no
//! scripts, so it also runs where those are forbidden. The server's clock is the common one. A
//! connection that failed is dropped, and the next sync opens another.
//!
//! It needs Redis 6.2 or a compatible server (Valkey). All keys carry the prefix in braces and so lie
//! on one node of a cluster; the redirections of a cluster are not followed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis_client::aio::MultiplexedConnection;
use redis_client::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline, RedisError, Value,
};

use super::exchange::{Answer, Entry, Exchange, ExchangeFault, Pull, Push};
use super::redis_address::RedisAddress;

/// A Redis as the exchange.
pub(crate) struct RedisExchange {
    address: RedisAddress,
    changes: String,
    cooldowns: String,
    routers: String,
    spent: String,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl fmt::Debug for RedisExchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(out)
    }
}

/// The most changes that one sync reads.
const READ_AT_ONCE: usize = 1_000;

/// About the most changes that are kept.
const CHANGES_KEPT: usize = 10_000;

/// Changes, cooldowns and routers are kept for this long after the last write.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Spending is kept for longer than a month after the last of it.
const SPENT_KEPT: Duration = Duration::from_secs(40 * 24 * 3_600);

/// Values by key are kept as long as services keep stored responses.
const VALUES_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The position before all entries of a stream.
const START: &str = "0-0";

/// An entry of a stream: its id and its fields.
type StreamEntry = (String, BTreeMap<String, String>);

impl RedisExchange {
    /// Nothing is connected before the first sync.
    ///
    /// # Errors
    /// The URL is not one of Redis.
    pub(crate) fn new(address: RedisAddress) -> Result<Self, ExchangeFault> {
        Client::open(&*address.url).map_err(|error| fault(&error))?;
        let key = |name: &str| format!("{{{}}}:{name}", address.prefix);
        Ok(Self {
            changes: key("changes"),
            cooldowns: key("cooldowns"),
            routers: key("routers"),
            spent: key("spent"),
            address,
            connection: Mutex::default(),
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

    /// The commands of a sync. Those with answers come in this order: time, cooldowns, changes, number of routers, number of
    /// spending figures, spending figures.
    fn pipeline(&self, push: &Push) -> Pipeline {
        let mut pipe = redis_client::pipe();
        pipe.cmd("TIME");
        for (key, value) in &push.values {
            let key = self.value_key(key);
            match value {
                Some(value) => {
                    pipe.cmd("SET").arg(key).arg(&**value).arg("PX").arg(millis(VALUES_KEPT))
                }
                None => pipe.cmd("DEL").arg(key),
            };
            pipe.ignore();
        }
        self.write_spent(&mut pipe, push);
        self.write_cooldowns(&mut pipe, push);
        if let Some(text) = &push.change {
            let add = pipe.cmd("XADD").arg(&self.changes).arg("MAXLEN").arg("~").arg(CHANGES_KEPT);
            add.arg("*").arg("run").arg(&*push.run).arg("at").arg(push.micros);
            add.arg("text").arg(&**text).ignore();
        }
        if push.beat {
            self.announce(&mut pipe, push);
        }
        let from = format!("({}", push.micros);
        pipe.cmd("ZRANGEBYSCORE").arg(&self.cooldowns).arg(from).arg("+inf").arg("WITHSCORES");
        let from = format!("({}", push.read.as_deref().unwrap_or(START));
        let read = pipe.cmd("XRANGE").arg(&self.changes).arg(from).arg("+");
        read.arg("COUNT").arg(READ_AT_ONCE);
        if push.beat {
            pipe.cmd("ZCARD").arg(&self.routers);
            pipe.cmd("HLEN").arg(&self.spent);
        }
        if push.all_spent {
            pipe.cmd("HGETALL").arg(&self.spent);
        }
        pipe
    }

    fn write_spent(&self, pipe: &mut Pipeline, push: &Push) {
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
    }

    fn write_cooldowns(&self, pipe: &mut Pipeline, push: &Push) {
        if !push.cooldowns.is_empty() {
            // Only a later end replaces the one that is there.
            let add = pipe.cmd("ZADD").arg(&self.cooldowns).arg("GT");
            for (name, end) in &push.cooldowns {
                add.arg(*end).arg(&**name);
            }
            add.ignore();
        }
        if !push.recovered.is_empty() {
            let remove = pipe.cmd("ZREM").arg(&self.cooldowns);
            for name in &push.recovered {
                remove.arg(&**name);
            }
            remove.ignore();
        }
    }

    /// Announces this run, and removes what is over.
    fn announce(&self, pipe: &mut Pipeline, push: &Push) {
        let Push { run, micros, ttl, .. } = push;
        let ttl = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        let (oldest, latest) = (micros.saturating_sub(ttl), micros.saturating_add(ttl));
        let mut remove = |key: &str, from: String, to: String| {
            pipe.cmd("ZREMRANGEBYSCORE").arg(key).arg(from).arg(to).ignore();
        };
        remove(&self.cooldowns, "-inf".to_owned(), micros.to_string());
        remove(&self.routers, "-inf".to_owned(), format!("({oldest}"));
        // Announced before the server's clock was set back.
        remove(&self.routers, format!("({latest}"), "+inf".to_owned());
        pipe.cmd("ZADD").arg(&self.routers).arg(*micros).arg(&**run).ignore();
        for key in [&self.changes, &self.cooldowns, &self.routers] {
            pipe.cmd("PEXPIRE").arg(key).arg(millis(KEPT)).ignore();
        }
    }

    async fn synced(&self, push: &Push) -> Result<Pull, ExchangeFault> {
        let mut connection = self.connected().await?;
        let unanswered = Unanswered(self);
        let answers: Result<Vec<Value>, RedisError> =
            self.pipeline(push).query_async(&mut connection).await;
        let answers = answers.map_err(|error| fault(&error))?;
        unanswered.answered();
        let mut answers = answers.into_iter();
        let (seconds, micros): (u64, u64) = read(answers.next())?;
        let cooldowns: Vec<(String, f64)> = read(answers.next())?;
        let changes: Vec<StreamEntry> = read(answers.next())?;
        let replicas: Option<usize> = push.beat.then(|| read(answers.next())).transpose()?;
        let spent_count = push.beat.then(|| read(answers.next())).transpose()?;
        let spent: Option<BTreeMap<String, String>> =
            push.all_spent.then(|| read(answers.next())).transpose()?;
        let text = |(name, figure): (String, String)| (name.into(), figure.into());
        Ok(Pull {
            micros: seconds.saturating_mul(1_000_000).saturating_add(micros),
            read: changes.last().map(|(id, _)| id.as_str().into()),
            more: changes.len() >= READ_AT_ONCE,
            changes: changes.into_iter().filter_map(|(_, fields)| entry(fields)).collect(),
            cooldowns: cooldowns.into_iter().map(|(name, end)| (name.into(), whole(end))).collect(),
            replicas,
            spent: spent.map(|spent| spent.into_iter().map(text).collect()),
            spent_count,
        })
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
    fn sync<'e>(&'e self, push: &'e Push) -> Answer<'e, Pull> {
        Box::pin(self.synced(push))
    }

    fn find<'e>(&'e self, keys: &'e [Box<str>]) -> Answer<'e, Vec<Option<Box<str>>>> {
        Box::pin(self.found(keys))
    }

    fn claim<'e>(&'e self, key: &'e str) -> Answer<'e, bool> {
        Box::pin(self.claimed(key))
    }
}

/// Drops the connection unless the sync is answered: one whose other end has vanished would otherwise be used until the
/// system notices.
struct Unanswered<'e>(&'e RedisExchange);

impl Unanswered<'_> {
    fn answered(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.lock().take();
    }
}

/// The time is a field of its own: after the server's clock was set back, ids stay in the future.
fn entry(mut fields: BTreeMap<String, String>) -> Option<Entry> {
    let micros = fields.remove("at")?.parse().ok()?;
    let run = fields.remove("run")?.into();
    Some(Entry { run, micros, text: fields.remove("text")?.into() })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
fn whole(score: f64) -> u64 {
    score as u64
}

fn read<T: redis_client::FromRedisValue>(answer: Option<Value>) -> Result<T, ExchangeFault> {
    let answer = answer.ok_or_else(|| ExchangeFault("an answer is missing".into()))?;
    T::from_redis_value(answer).map_err(|error| ExchangeFault(error.to_string().into()))
}

/// The client's text, which may name the host and never the password.
fn fault(error: &RedisError) -> ExchangeFault {
    ExchangeFault(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_address_shows_no_secret_and_must_be_one() {
        let address = |url: &str| RedisAddress {
            url: url.into(),
            username: None,
            password: Some(Arc::new(|| Ok("hidden-word".into()))),
            prefix: "p".into(),
            patience: Duration::from_secs(1),
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
        });
        let (exchange, push) = (exchange.unwrap(), Push::default());
        let mut held = Vec::new();
        for _ in 0..2 {
            // The caller's timeout, like that of the replicas, ends long before the client's own.
            let asked = tokio::time::timeout(Duration::from_millis(200), exchange.sync(&push));
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
        assert!(count > 0 && !String::from_utf8_lossy(&asked).contains("XRANGE"));
        stream.write_all(b"+OK\r\n+OK\r\n").await.unwrap();
        stream
    }
}

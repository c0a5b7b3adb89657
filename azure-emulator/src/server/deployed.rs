//! A deployment at work: its bucket or quota, its script, its counts, and what is in flight.
//!
//! Every admitted request holds a [`Lease`]. However the request ends, the lease settles with the
//! bucket exactly once: with the real usage when the answer was sent, with what had been written
//! by then when the caller hung up. (What Azure charges for an abandoned call is not published.)

use crate::bucket::Admission;
use crate::bucket::Bucket;
use crate::bucket::BucketFault;
use crate::prompt_cache::Beginnings;
use crate::prompt_cache::PromptCache;
use crate::quota::Arrival;
use crate::quota::OverQuota;
use crate::quota::Quota;
use crate::quota::QuotaReading;
use crate::script::step::Step;
use crate::settings::Billing;
use crate::settings::Deployment;
use crate::tier::Rates;
use crate::tier::Tier;
use crate::tier::TierName;
use crate::wire::error::Refusal;
use crate::wire::request::Ask;
use crate::wire::said::Usage;
use crate::wire::sse::Pace;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// Counts of a deployment since the start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counters {
    /// Requests that reached it.
    pub requests: u64,
    /// Answered 200.
    pub ok: u64,
    /// Answered 429.
    pub throttled: u64,
    /// Answered anything else.
    pub other: u64,
    /// Admitted and not ended.
    pub in_flight: u64,
    /// Admitted, and the caller was gone before the end.
    pub hung_up: u64,
    /// Tokens reserved by admission: normalized ones of a bucket, estimated ones of a quota.
    pub admitted_tokens: f64,
    /// Prompt tokens of ended requests.
    pub prompt_tokens: u64,
    /// Prompt tokens that came from the prompt cache.
    pub cached_tokens: u64,
    /// Tokens written by ended requests, hidden ones included.
    pub completion_tokens: u64,
    /// Cost of ended requests at the rates of their service tiers, in US dollars.
    pub billed_usd: f64,
}

/// The limit in force.
#[derive(Debug)]
enum Room {
    Bucket(Bucket),
    Quota(Quota),
}

#[derive(Debug)]
struct Inside {
    room: Room,
    /// The limits that service tiers have of their own.
    tiers: Vec<(TierName, Quota)>,
    cache: Option<PromptCache>,
    script: VecDeque<Step>,
    counters: Counters,
}

/// A deployment at work.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) settings: Deployment,
    inside: Mutex<Inside>,
}

/// The reason why a request was not admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused {
    Full { wait: Duration },
    OverQuota(OverQuota),
    Flex { wait: Duration },
}

/// Values for the answer's limit headers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gauge {
    Utilization(f64),
    Quota(QuotaReading),
}

impl Deployed {
    pub(crate) fn new(settings: Deployment, now: Instant) -> Result<Self, BucketFault> {
        let room = match settings.billing {
            Billing::Provisioned(bucket) => Room::Bucket(Bucket::new(bucket, now)?),
            Billing::PayAsYouGo(quota) => Room::Quota(Quota::new(quota, now)),
        };
        let own_limit =
            |(name, tier): &(TierName, Tier)| Some((*name, Quota::new(tier.capacity?, now)));
        let inside = Inside {
            room,
            tiers: settings.tiers.iter().filter_map(own_limit).collect(),
            cache: settings.prompt_cache.map(PromptCache::new),
            script: VecDeque::new(),
            counters: Counters::default(),
        };
        Ok(Self { settings, inside: Mutex::new(inside) })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request in, and takes the step that waits for it.
    pub(crate) fn next_step(&self) -> Option<Step> {
        let mut inside = self.inside();
        inside.counters.requests += 1;
        let step = inside.script.front()?.clone();
        if !inside.script.front_mut().is_some_and(Step::spend) {
            inside.script.pop_front();
        }
        Some(step)
    }

    pub(crate) fn add_step(&self, step: Step) {
        self.inside().script.push_back(step);
    }

    pub(crate) fn clear_script(&self) {
        self.inside().script.clear();
    }

    /// Counts an answer by its status.
    pub(crate) fn answered(&self, status: u16) {
        let counters = &mut self.inside().counters;
        match status {
            200 => counters.ok += 1,
            429 => counters.throttled += 1,
            _ => counters.other += 1,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.inside().counters
    }

    pub(crate) fn gauge(&self, now: Instant) -> Gauge {
        match &self.inside().room {
            Room::Bucket(bucket) => Gauge::Utilization(bucket.utilization(now)),
            Room::Quota(quota) => Gauge::Quota(quota.reading(now)),
        }
    }

    /// Brings a bucket to this utilization at once; false for a quota.
    pub(crate) fn fill(&self, now: Instant, utilization: f64) -> bool {
        match &mut self.inside().room {
            Room::Bucket(bucket) => {
                let wished = utilization * bucket.capacity();
                bucket.add(now, wished - bucket.level(now));
                true
            }
            Room::Quota(_) => false,
        }
    }

    /// Lowers the token limit of a quota; false for a bucket.
    pub(crate) fn limit_tokens(&self, tpm: u64) -> bool {
        match &mut self.inside().room {
            Room::Bucket(_) => false,
            Room::Quota(quota) => {
                quota.limit_tokens(tpm);
                true
            }
        }
    }

    /// The service tier of that name; `None` if it is not offered.
    pub(crate) fn tier(&self, name: TierName) -> Option<Tier> {
        let found = self.settings.tiers.iter().find(|(known, _)| *known == name);
        found.map(|(_, tier)| *tier)
    }

    /// The service tier that a request names, if the deployment offers tiers.
    pub(crate) fn asked_tier(
        &self,
        word: Option<&str>,
    ) -> Result<Option<(TierName, Tier)>, Refusal> {
        if self.settings.tiers.is_empty() {
            return Ok(None);
        }
        let found = TierName::asked(word).and_then(|name| Some((name, self.tier(name)?)));
        found.map(Some).ok_or_else(|| Refusal::no_such_tier(word.unwrap_or("default")))
    }

    /// Admits a request in a service tier; gives the tier that answers it.
    pub(crate) fn admit_in(
        self: &Arc<Self>,
        now: Instant,
        name: TierName,
        tier: Tier,
        ask: &Ask,
    ) -> Result<(Lease, TierName), Refused> {
        let arrival = Arrival { prompt_chars: ask.prompt_chars(), ..Arrival::default() };
        let admitted = {
            let mut inside = self.inside();
            let limit = inside.tiers.iter_mut().find(|(known, _)| *known == name);
            limit.map_or(Ok(()), |(_, limit)| limit.arrive(now, arrival).map(drop))
        };
        let (name, rates) = match admitted {
            Ok(()) => (name, tier.rates),
            Err(_) if tier.downgrades => {
                let standard = self.tier(TierName::Default).unwrap_or(tier);
                (TierName::Default, standard.rates)
            }
            Err(over) if name == TierName::Flex => return Err(Refused::Flex { wait: over.wait }),
            Err(over) => return Err(Refused::OverQuota(over)),
        };
        let mut lease = self.admit(now, ask)?;
        lease.rates = Some(rates);
        Ok((lease, name))
    }

    /// Admits a request, or says why not.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant, ask: &Ask) -> Result<Lease, Refused> {
        let prompt = ask.prompt_tokens();
        let cap = ask.cap.map(|cap| cap.saturating_mul(ask.choices));
        let caching = self.settings.prompt_cache.is_some();
        let beginnings = if caching { Beginnings::of(&ask.prompt) } else { Beginnings::default() };
        let mut inside = self.inside();
        let Inside { room, cache, counters, .. } = &mut *inside;
        let cached = cache.as_ref().map_or(0, |cache| cache.known(now, &beginnings)).min(prompt);
        let admission = match room {
            Room::Bucket(bucket) => {
                let admission = bucket
                    .admit(now, prompt, cached, cap)
                    .map_err(|full| Refused::Full { wait: full.wait })?;
                counters.admitted_tokens += admission.reserved();
                Some(admission)
            }
            Room::Quota(quota) => {
                let prompt_chars = ask.prompt_chars();
                let cached_chars = prompt_chars.saturating_mul(cached) / prompt.max(1);
                let arrival = Arrival { prompt_chars, cached_chars, max_tokens: cap };
                let estimate = quota.estimate(arrival);
                quota.arrive(now, arrival).map_err(Refused::OverQuota)?;
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let estimate = estimate as f64;
                counters.admitted_tokens += estimate;
                None
            }
        };
        if let Some(cache) = cache {
            cache.remember(now, &beginnings);
        }
        counters.in_flight += 1;
        drop(inside);
        let deployed = Arc::clone(self);
        Ok(Lease {
            deployed,
            admission,
            prompt,
            cached,
            written: 0,
            writing: None,
            complete: false,
            rates: None,
        })
    }
}

/// One admitted request.
#[derive(Debug)]
pub(crate) struct Lease {
    deployed: Arc<Deployed>,
    admission: Option<Admission>,
    prompt: u64,
    cached: u64,
    written: u64,
    /// Since when and how fast an answer is written that nobody sees before its end.
    writing: Option<(Instant, Pace)>,
    complete: bool,
    /// Token prices; `None` if the deployment offers no service tiers.
    rates: Option<Rates>,
}

impl Lease {
    /// Tokens of the prompt, and how many of them were cached.
    pub(crate) const fn prompt(&self) -> (u64, u64) {
        (self.prompt, self.cached)
    }

    /// Notes that so many tokens have been written by now.
    pub(crate) fn wrote(&mut self, tokens: u64) {
        self.written = self.written.max(tokens);
    }

    /// Notes that from `start` on an answer is written that nobody sees before its end.
    pub(crate) const fn writes(&mut self, start: Instant, pace: Pace) {
        self.writing = Some((start, pace));
    }

    /// The answer is out as far as the deployment is concerned.
    pub(crate) fn complete(mut self, usage: &Usage) {
        self.wrote(usage.completion);
        self.complete = true;
    }

    /// The answer ended as scripted, with what was written until then.
    pub(crate) fn end(mut self) {
        self.complete = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some((start, pace)) = self.writing.filter(|_| !self.complete) {
            self.written = pace.written(now.saturating_duration_since(start));
        }
        let mut inside = self.deployed.inside();
        let Inside { room, counters, .. } = &mut *inside;
        if let (Room::Bucket(bucket), Some(admission)) = (room, &self.admission) {
            bucket.settle(now, admission, self.prompt, self.cached, self.written);
        }
        counters.in_flight = counters.in_flight.saturating_sub(1);
        counters.hung_up += u64::from(!self.complete);
        counters.prompt_tokens += self.prompt;
        counters.cached_tokens += self.cached;
        counters.completion_tokens += self.written;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        if let Some(Rates { input, output }) = self.rates {
            counters.billed_usd +=
                (self.prompt as f64 * input + self.written as f64 * output) / 1e6;
        }
    }
}

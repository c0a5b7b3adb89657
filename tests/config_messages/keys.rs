//! Messages about keys of callers.

use super::{SOUND, check, warnings};

#[test]
fn a_key_says_everything_that_is_wrong_with_it() {
    let (one, two) = ("1f".repeat(32), "2e".repeat(32));
    let third = "3d".repeat(32);
    let text = format!(
        "{SOUND}\n[keys.team]\nhashes = [\"sha256:{one}\", \"sha256:{two}\", \"sha256:{}\"]\nroles = [\"boss\"]\n\
         models = [\"gpt-9\"]\ndeployments = [\"us_ptu\"]\nresidency = \"korea\"\npriority = \"high\"\nprefer = \"\"\n\
         requests_per_minute = 0\nmax_in_flight = -1\ndaily_budget_usd = 5\nmonthly_budget_usd = 2.5\nexpires = \"soon\"\n\
         [keys.other]\nhashes = [\"sha256:{one}\"]\nroles = []\n[keys.none]\n[teams.a]\ndaily_budget_usd = 0\n[teams.B]\n[keys.tagged]\nteam = \"ops\"\ntags = [\"\"]\n\
         hashes = [\"sha256:{third}\"]\n[keys.A]\nhashes = [\"sha256:{two}\"]\n",
        "0g".repeat(32)
    );
    check(
        &[("a.toml", &text)],
        &[("SEOUL_KEY", "k")],
        "a.toml: teams.B: a name is 1 to 100 of a-z, 0-9 and _
a.toml: teams.a.daily_budget_usd: must be at least 0.01, found 0
a.toml: keys.A: a name is 1 to 128 of a-z, 0-9 and _
a.toml: keys.none.hashes: missing; must list at least one hash, as `router-server key new` prints it
a.toml: keys.other.roles: must list reasoning, chat or both
a.toml: keys.tagged.team: no table [teams.NAME] for `ops`; there are: a
a.toml: keys.tagged.tags: must be words of 1 to 64 letters; found ``
a.toml: keys.team.hashes: one of them is a hash of keys.other too
a.toml: keys.team.hashes: one of them is a hash of keys.A too
a.toml: keys.team.hashes: must be sha256: and 64 hexadecimal digits, as `router-server key hash` prints them; never the key itself
a.toml: keys.team.expires: a day is written as 2026-11-19; found `soon`
a.toml: keys.team.roles: must be reasoning or chat, found `boss`
a.toml: keys.team.models: no deployment serves `gpt-9`; served are: gpt-5.2
a.toml: keys.team.deployments: no deployment `us_ptu`; there are: kr_ptu
a.toml: keys.team.residency: must be `global`, `zone:us`, `zone:eu`, `geo:` and a country such as `geo:kr`, or `region:` and an Azure region such as `region:koreacentral`; found `korea`
a.toml: keys.team.priority: must be interactive or batch, found `high`
a.toml: keys.team.prefer: must be cost, fast or balanced, found ``
a.toml: keys.team.requests_per_minute: must be at least 1, found 0
a.toml: keys.team.max_in_flight: must be at least 1, found -1
a.toml: keys.team.daily_budget_usd: must be at most monthly_budget_usd, which is 2.500000; found 5.000000",
    );
}

#[test]
fn keys_that_do_nothing_are_warned_about() {
    let hash = "1f".repeat(32);
    let told = |more: &str| {
        warnings(&format!(
            "{SOUND}\n[keys.team]\nhashes = [\"sha256:{hash}\"]\noperator = true\n{more}\n"
        ))
    };
    assert_eq!(told("residency = \"geo:kr\"\nmax_in_flight = 3"), Vec::<String>::new());
    assert_eq!(
        warnings(&format!("{SOUND}\n[keys.team]\nhashes = [\"sha256:{hash}\"]\n")),
        ["keys: none has operator = true: nobody may see /metrics, /v1/route and /"]
    );
    assert_eq!(
        told("residency = \"zone:eu\""),
        ["keys.team: no deployment is inside models, deployments and residency together"]
    );
    assert_eq!(
        told("expires = 2026-11-22\n[server]\nallow_anonymous = true"),
        [
            "server.allow_anonymous: means nothing where there are keys: every caller must show one",
            "keys.team.expires: 2026-11-22 is over: it is not accepted",
        ]
    );
    let unpriced = "daily_budget_usd = 1.0\n[models.mine]\ncontext_window_tokens = 1000\nmax_output_tokens = 1000\n\
        [deployments.free]\nendpoint = \"seoul\"\nmodel = \"mine\"\nbilling = \"pay_as_you_go\"\narea = \"global\"";
    assert_eq!(
        told(unpriced),
        ["keys.team: free has no price: its answers count nothing in the budget"]
    );
}

//! The files of a configuration are watched: any change is detected, and one with faults changes
//! nothing and is reported everywhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use azure_emulator::{Deployment, Emulator, Settings, Step};
use router_server::Config;
use router_server::Follow;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{Bench, Layout, PATIENCE, logs};

/// A server that follows its files, before an emulator.
struct Followed {
    folder: TempDir,
    bench: Bench,
    follow: Option<Follow>,
}

/// The path of the deployment's key in a folder.
const KEY: &str = "key";

fn layout(folder: &Path) -> Layout {
    let key = folder.join(KEY);
    Layout::pair()
        .set("server.watch_ms", 10)
        .without("endpoints.azure.anonymous")
        .without("endpoints.azure.api_key")
        .text("endpoints.azure.api_key.file", key.to_str().unwrap())
}

impl Followed {
    /// Starts with what `write` puts into an empty folder: the configuration's own path is what it gives back.
    async fn start(write: impl FnOnce(&Path, &str) -> PathBuf) -> Self {
        logs::capture();
        let folder = tempfile::tempdir().unwrap();
        let emulated: Vec<Deployment> = Layout::pair().emulated();
        let settings = emulated.into_iter().fold(Settings::new(), Settings::deployment);
        let emulator = Emulator::start(settings).await.unwrap();
        std::fs::write(folder.path().join(KEY), "first-key\n").unwrap();
        let path = write(folder.path(), emulator.url());
        let follow = Follow::new(std::slice::from_ref(&path)).unwrap();
        let today = router_core::units::Day::try_from("2026-11-02").unwrap();
        let config = Config::load(&[path], today).unwrap_or_else(|faults| panic!("{faults}"));
        let server = router_server::start(&config).await.unwrap();
        Self { folder, bench: Bench::new(emulator, server), follow: Some(follow) }
    }

    /// Does something while the files are followed.
    async fn during<T>(&mut self, what: impl AsyncFnOnce(&Bench, &Path) -> T) -> T {
        let follow = self.follow.take().unwrap();
        tokio::select! {
            biased;
            done = what(&self.bench, self.folder.path()) => done,
            () = self.bench.server.follow(follow) => panic!("it stopped following"),
        }
    }
}

/// A plain file.
fn plain(folder: &Path, url: &str) -> PathBuf {
    let path = folder.join("router.toml");
    std::fs::write(&path, layout(folder).toml(url)).unwrap();
    path
}

async fn configuration(bench: &Bench) -> Value {
    bench.get("/readyz?verbose").await.json()["config"].clone()
}

/// Waits until what `/readyz?verbose` says of the configuration is so.
async fn until(bench: &Bench, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = configuration(bench).await;
        if wanted(&found) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{found}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn task(bench: &Bench) -> String {
    bench.ask("auto", json!({})).await.header("x-router-task").unwrap().to_owned()
}

#[tokio::test]
async fn a_changed_file_is_run_and_one_with_faults_is_told_everywhere() {
    let mut followed = Followed::start(plain).await;
    followed
        .during(async |bench, folder| {
            let path = folder.join("router.toml");
            let url = bench.emulator.url();
            let write = |layout: Layout| std::fs::write(&path, layout.toml(url)).unwrap();
            let first = configuration(bench).await;
            assert_eq!(first["last_reload"], Value::Null);
            write(layout(folder).set("routing.threshold", 0.0));
            let second = until(bench, |now| now["version"] != first["version"]).await;
            assert_eq!(second["last_reload"]["successful"], true, "{second}");
            assert_eq!(task(bench).await, "reasoning");
            let successful = "model_router_config_last_reload_successful";
            assert!(bench.metric(successful).await > 0.5);
            // Two faults, of which one would quote a secret.
            let secret = "sk-this-must-not-be-shown";
            let broken =
                layout(folder).set("routing.threshold", 7).without("endpoints.azure.api_key.file");
            write(broken.text("endpoints.azure.api_key", secret));
            let third = until(bench, |now| now["last_reload"]["successful"] == false).await;
            assert_eq!(third["version"], second["version"], "the last good one goes on");
            let faults = third["last_reload"]["faults"].as_array().unwrap();
            let told = |what: &str| faults.iter().any(|one| one.as_str().unwrap().contains(what));
            assert!(told("routing.threshold: must be 0 to 1, found 7"), "{third}");
            assert!(told("endpoints.azure.api_key: must be {") && faults.len() == 2, "{third}");
            assert!(!third.to_string().contains(secret) && logs::lines_with(secret).is_empty());
            assert!(!logs::lines_with("configuration not reloaded").is_empty());
            assert!(bench.metric(successful).await < 0.5);
            let failures = "model_router_config_reloads_total{result=\"failure\"}";
            assert!((bench.metric(failures).await - 1.0).abs() < 1e-9);
            assert_eq!(bench.get("/readyz").await.status, 200);
            assert_eq!(task(bench).await, "reasoning");
            // A file that is gone is a fault as well; one that is sound again is run.
            std::fs::remove_file(&path).unwrap();
            until(bench, |now| now["last_reload"]["faults"].to_string().contains("cannot be read"))
                .await;
            write(layout(folder).set("routing.threshold", 1.0));
            until(bench, |now| now["last_reload"]["successful"] == true).await;
            assert_eq!(task(bench).await, "chat");
            assert!(bench.metric(successful).await > 0.5);
        })
        .await;
}

/// A config map as a kubelet mounts it: the file is a link through `..data`, a link to a folder that is replaced as a whole.
#[cfg(unix)]
fn mounted(folder: &Path, url: &str) -> PathBuf {
    swap(folder, "1", &layout(folder).set("routing.threshold", 1.0).toml(url));
    let path = folder.join("router.toml");
    std::os::unix::fs::symlink("..data/router.toml", &path).unwrap();
    path
}

#[cfg(unix)]
fn swap(folder: &Path, version: &str, text: &str) {
    let version = format!("..{version}");
    std::fs::create_dir(folder.join(&version)).unwrap();
    std::fs::write(folder.join(&version).join("router.toml"), text).unwrap();
    std::os::unix::fs::symlink(&version, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_config_map_that_is_swapped_is_picked_up() {
    let mut followed = Followed::start(mounted).await;
    followed
        .during(async |bench, folder| {
            let first = configuration(bench).await;
            assert_eq!(task(bench).await, "chat");
            let url = bench.emulator.url();
            swap(folder, "2", &layout(folder).set("routing.threshold", 0.0).toml(url));
            std::fs::remove_dir_all(folder.join("..1")).unwrap();
            until(bench, |now| now["version"] != first["version"]).await;
            assert_eq!(task(bench).await, "reasoning");
        })
        .await;
}

#[tokio::test]
async fn a_new_secret_is_used_and_ends_what_the_old_one_was_refused_for() {
    let mut followed = Followed::start(plain).await;
    followed
        .during(async |bench, folder| {
            bench.emulator.script("chat_ptu", Step::unauthorized());
            bench.ask("chat", json!({})).await.assert_answered_by("chat_payg", false);
            bench.ask("chat", json!({})).await.assert_answered_by("chat_payg", false);
            assert_eq!(bench.counts(["chat_ptu"]), [1], "it is left alone for a minute");
            let version = configuration(bench).await["version"].clone();
            std::fs::write(folder.join(KEY), "second-key\n").unwrap();
            let now = until(bench, |now| now["last_reload"].is_object()).await;
            assert_eq!(now["version"], version, "secrets are no part of it");
            // A new conversation: the one before stays at its deployment.
            let body = json!({"prompt_cache_key": "other"});
            bench.ask("chat", body).await.assert_answered_by("chat_ptu", false);
            let asked = bench.asked("chat_ptu");
            let keys: Vec<_> = asked.iter().map(|entry| entry.header("api-key").unwrap()).collect();
            assert_eq!(keys, ["first-key", "second-key"]);
            // A secret that is gone leaves the last good one.
            std::fs::remove_file(folder.join(KEY)).unwrap();
            until(bench, |now| now["last_reload"]["successful"] == false).await;
            bench
                .ask("chat", json!({"prompt_cache_key": "third"}))
                .await
                .assert_answered_by("chat_ptu", false);
        })
        .await;
}

#[tokio::test]
async fn a_secret_that_comes_after_the_configuration_that_names_it_is_awaited() {
    let mut followed = Followed::start(plain).await;
    followed
        .during(async |bench, folder| {
            let later = folder.join("later-key");
            let names_it = layout(folder)
                .without("endpoints.azure.api_key.file")
                .text("endpoints.azure.api_key.file", later.to_str().unwrap());
            let path = folder.join("router.toml");
            std::fs::write(&path, names_it.toml(bench.emulator.url())).unwrap();
            until(bench, |now| now["last_reload"]["successful"] == false).await;
            bench.ask("chat", json!({})).await.assert_answered_by("chat_ptu", false);
            // Nothing else changes.
            std::fs::write(&later, "later-key\n").unwrap();
            until(bench, |now| now["last_reload"]["successful"] == true).await;
            bench.ask("chat", json!({})).await.assert_answered_by("chat_ptu", false);
            let asked = bench.asked("chat_ptu");
            let keys: Vec<_> = asked.iter().map(|entry| entry.header("api-key").unwrap()).collect();
            assert_eq!(keys, ["first-key", "later-key"]);
            // The file that is no longer named causes no second reload.
            for turn in 0..20 {
                std::fs::write(folder.join(KEY), format!("unused-{turn}\n")).unwrap();
                tokio::time::sleep(Duration::from_millis(15)).await;
                let reloads = "model_router_config_reloads_total{result=\"success\"}";
                assert!((bench.metric(reloads).await - 1.0).abs() < 1e-9);
            }
        })
        .await;
}

#[tokio::test]
async fn files_that_change_all_the_time_lose_no_request() {
    let mut followed = Followed::start(plain).await;
    followed
        .during(async |bench, folder| {
            let path = folder.join("router.toml");
            let reloads = "model_router_config_reloads_total{result=\"success\"}";
            let began = Instant::now();
            let mut number = 0u32;
            while bench.metric(reloads).await < 4.5 && began.elapsed() < PATIENCE {
                number += 1;
                let text = layout(folder).set("routing.threshold", f64::from(number % 9) / 10.0);
                // Every second time the file is written in two halves, as slow writers do.
                let text = text.toml(bench.emulator.url());
                if number.is_multiple_of(2) {
                    std::fs::write(&path, text.get(..text.len() / 2).unwrap()).unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                std::fs::write(&path, text).unwrap();
                for _ in 0..4 {
                    let answer = bench.ask("auto", json!({"stream": true})).await;
                    assert!(answer.status == 200 && answer.is_whole_stream(), "{answer:?}");
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
            }
            assert!(bench.metric(reloads).await > 4.5);
            let failures = "model_router_config_reloads_total{result=\"failure\"}";
            assert!(bench.metric(failures).await < 0.5, "half a file was read");
        })
        .await;
}

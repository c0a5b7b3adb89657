//! Tokens: handed out at three paths, accepted until they expire or are revoked.

use super::support::*;
use azure_emulator::Settings;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn tokens_open_the_door_until_revoked() {
    let emulator = start_with(Settings::new().tokens_only()).await;
    let base = emulator.url().to_owned();
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com";
    let imds = client()
        .get(format!("{base}/metadata/identity/oauth2/token?api-version=2019-08-01&{resource}"))
        .header("metadata", "true");
    let app_service =
        client().get(format!("{base}/msi/token?{resource}")).header("x-identity-header", "secret");
    let form = "grant_type=client_credentials&client_id=a&client_secret=b&scope=c";
    let oauth = client()
        .post(format!("{base}/a-tenant/oauth2/v2.0/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let mut tokens = Vec::new();
    for request in [imds, app_service, oauth] {
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["token_type"], "Bearer");
        tokens.push(answer["access_token"].as_str().unwrap().to_owned());
    }
    assert_eq!(emulator.identity().issued(), 3);
    let send = |token: &str| {
        let request = client().post(dated(&emulator, "payg")).bearer_auth(token);
        request.json(&body("hi", json!({}))).send()
    };
    for token in &tokens {
        assert_eq!(send(token).await.unwrap().status(), 200);
    }
    assert_eq!(send("made-up").await.unwrap().status(), 401);
    emulator.identity().revoke_all();
    assert_eq!(send(&tokens[0]).await.unwrap().status(), 401);
}

#[tokio::test]
async fn lifetimes_and_refusals() {
    let emulator = start_with(Settings::new().tokens_only()).await;
    emulator.identity().set_lifetime(Duration::from_secs(90));
    let url = format!("{}/metadata/identity/oauth2/token?resource=r", emulator.url());
    let bare = client().get(&url).send().await.unwrap();
    assert_eq!(bare.status(), 400, "the metadata header is missing");
    let ask = || client().get(&url).header("Metadata", "true").send();
    let answer: Value = ask().await.unwrap().json().await.unwrap();
    assert_eq!(answer["expires_in"], "90");
    assert!(answer["expires_on"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    emulator.identity().fail_next(1);
    assert_eq!(ask().await.unwrap().status(), 500);
    assert_eq!(ask().await.unwrap().status(), 200);
}

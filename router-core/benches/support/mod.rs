//! The configuration and the prompts of mixed language that the benchmarks share.

/// The design pair on three deployments. The provisioned one is soon full; nobody waits for it.
pub(crate) const CONFIG: &str = r#"
[capacity]
max_wait_ms = 0
[roles.reasoning]
models = ["o1"]
[roles.chat]
models = ["gpt-4o"]
[endpoints.main]
url = "http://127.0.0.1:1"
api = "azure"
api_version = "2024-12-01-preview"
anonymous = true
[deployments.gpt_4o_ptu]
endpoint = "main"
model = "gpt-4o"
azure_deployment = "gpt_4o_ptu"
billing = "provisioned"
area = "global"
ptu = 50
[deployments.gpt_4o_payg]
endpoint = "main"
model = "gpt-4o"
azure_deployment = "gpt_4o_payg"
billing = "pay_as_you_go"
area = "global"
[deployments.o1_payg]
endpoint = "main"
model = "o1"
azure_deployment = "o1_payg"
billing = "pay_as_you_go"
area = "global"
"#;

/// The sizes of bodies, in bytes.
pub(crate) const SIZES: [(&str, usize); 3] =
    [("1 KB", 1_024), ("10 KB", 10_240), ("100 KB", 102_400)];

const PROSE: &str = "We moved the billing job to the new cluster last week and since then some invoices are \
    written twice, mostly those around midnight. 청구서가 두 번 발행되는 문제가 자정 무렵에 자주 발생합니다. ";

/// A word of the first sentence of the pasted text; another one makes another body.
pub(crate) const WORD: &str = "aaaaaa";

/// A chat request whose body is `size` bytes long, nearly: instructions, an earlier turn, a pasted text and the ask.
pub(crate) fn body(size: usize) -> String {
    let ask = "Find out step by step why this happens and prove that your fix is right. 원인을 단계별로 분석해 주세요.";
    let turn = |role: &str, content: &str| serde_json::json!({"role": role, "content": content});
    let with = |pasted: &str| {
        let messages = [
            turn("system", "You are a careful engineer. Answer in the language of the question."),
            turn("user", "Hi, do you have a minute?"),
            turn("assistant", "Of course. What is it about?"),
            turn("user", &format!("Ticket {WORD}: {pasted}\n\n{ask}")),
        ];
        serde_json::json!({"model": "auto", "messages": messages, "temperature": 0.2, "max_tokens": 500})
            .to_string()
    };
    let bare = with("").len();
    let mut pasted = String::new();
    while bare + pasted.len() + PROSE.len() < size {
        pasted.push_str(PROSE);
    }
    with(&pasted)
}

//! Hashes of guessable keys: words from examples and clients' defaults.
//!
//! `key hash` refuses such keys by their length. A hash shows no length, so a configuration is
//! compared with this list. The list does not make a weak key strong: create keys with
//! `router-server key new`.

/// True for the hash, as config writes it, of a word that anybody would try.
pub(super) fn is_guessable(hash: &str) -> bool {
    let digits = hash.strip_prefix("sha256:").unwrap_or(hash);
    GUESSABLE.iter().any(|(_, known)| known.eq_ignore_ascii_case(digits))
}

/// Each key with its SHA-256.
const GUESSABLE: [(&str, &str); 54] = [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("0", "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"),
    ("1234", "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"),
    ("12345678", "ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f"),
    ("123456789", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ("1234567890", "c775e7b757ede630cd0aa1113bd102661ab38829ca52a6422ab782862f268646"),
    ("<your-api-key>", "a90d808d3f083069c408d90cae3e55dee28bb704b4ddd1faa729326db1e7a61e"),
    ("EMPTY", "cc1d2f838445db7aec431df9ee8a871f40e7aa5e064fc056633ef8c60fab7b06"),
    ("YOUR_API_KEY", "358b5f6606b3fb8e6aaed3d7b3cda482bbf3201965d2e6e45ffcb40b4852a36b"),
    ("admin", "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918"),
    ("api-key", "8c284055dbb54b7f053a2dc612c3727c7aa36354361055f2110f4903ea8ee29c"),
    ("api_key", "2e9bc6c94a4cbdfe2a31d2df79103a5eb3702eaf5d7018d47a774e9540a8ec29"),
    ("apikey", "6c793695171e793d7d0080ad7700a2bc50256912cef2492c201e8ecc54b24ab5"),
    ("azure", "79f43c3b9c23fbdf293bdba80dab38ba194fc1da79187091b3d3760dad840bf8"),
    ("change-me", "e2186dbdb1bb4193608605e84f33208765b5693b55edd4f730a719a100eeea6f"),
    ("changeme", "057ba03d6c44104863dc7361fe4578965d1887360f90a0895882e58a6248fc86"),
    ("default", "37a8eec1ce19687d132fe29051dca629d164e2c4958ba141d5f4133a33f0688f"),
    ("demo", "2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea"),
    ("dummy", "b5a2c96250612366ea272ffac6d9744aaf4b45aacd96aa7cfcb931ee3b558259"),
    ("example", "50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c"),
    ("fake", "b5d54c39e66671c9731b9f471e585d8262cd4f54963f0c93082d8dcf334d4c78"),
    ("foo", "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
    ("key", "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"),
    ("letmein", "1c8bfe8f801d79745c4631d09fff36c82aa37fc4cce4fc946683d7b336b63032"),
    ("litellm", "dcc8d7506b63db23eb69667c87a92d82a8bfa0f1320fda7c40f425b5b5db8d42"),
    ("local", "25bf8e1a2393f1108d37029b3df5593236c755742ec93465bbafa9b290bddcf6"),
    ("model-router", "22187bd641b0cd629865ec27be215083b05c5da592662826bd5a897fb89a40e2"),
    ("no-key", "95473684d6763021793afa0472c775e8310d39a075895e93c5cf6d1247b46390"),
    ("none", "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe"),
    ("not-needed", "f67f81547582468f5bda934130d6cf75622a129e93e6a653187cba688e1a6e49"),
    ("null", "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
    ("openai", "7d3194f79e645c42e4396dda38be04766810ec6a00d00aced3ffc2a0a1f1a9ef"),
    ("password", "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"),
    ("placeholder", "4097889236a2af26c293033feb964c4cf118c0224e0d063fec0a89e9d0569ef2"),
    (
        "replace-with-your-api-key",
        "6f4dab07d46a299b2ed421129d25a8de4f247559e3e91149c96499304ae17843",
    ),
    ("router", "74c95604043427f0bee1d0e16bfa53afd537f736ad0073c4cc4e1ccb3a82b5dc"),
    ("secret", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"),
    (
        "sk-0000000000000000000000000000000000000000",
        "6a759d00a81640533b9e11cea937a90372ccf288723c688e58e45bb598e79bb2",
    ),
    ("sk-1234", "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"),
    ("sk-12345", "c11e7177eb60c80cf983ddf8ca98f2dc1272d4c612204ce9bedd2460b18939cc"),
    ("sk-123456", "16d87a742d37f4552c970f288e8eec87ff4a51259df54a16be2555400300405c"),
    ("sk-dummy", "1eaa840f0577b0dbef7d091e41827c315610880057abaffd31736cac13356010"),
    ("sk-fake", "c8c22e019061cdf8237b46aedb1024ccff1cb6433d88389c96ad1c36d9dbae92"),
    ("sk-none", "8908b0f9ee65068bbda87c8487234937f8a5489af40dc0c0fe4385af7a7b89c0"),
    ("sk-test", "f3abf2a6cc4f00987743db5f544ba345b4899ae31f326d8ee9c4816de153c9e0"),
    ("sk-xxx", "c7d56906999b442130680792a4add901df3ce504bb60ba1e298826f9644dc8f5"),
    ("test", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ("test-key", "62af8704764faf8ea82fc61ce9c4c3908b6cb97d463a634e9e587d7c885db0ef"),
    ("token", "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0"),
    ("unused", "febe1d741b49e5a9c31526728d8c5134a803adfc4c04c4f052673722ed85597e"),
    ("xxx", "cd2eb0837c9b4c962c22d2ff8b5441b7b45805887f051d39bf133b583baf6860"),
    ("your-api-key", "a2ae6a9ee724b61d83d3cb2ec4a4bfc5d72624008508511935f85a4227a92db6"),
    ("your-key", "74c53a400d948f89d2bd7d2168444c858925ab26a1a8db2dba06758fc1a444a2"),
    ("your_api_key", "059911af0740ac63fd06688b02d86086add4bfcf48c346a1bd4ed5d6e8fea683"),
];

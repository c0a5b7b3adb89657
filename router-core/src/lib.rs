//! Routes chat requests to OpenAI models on Azure by task, cost and latency.

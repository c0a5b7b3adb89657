//! A double of Azure OpenAI for tests, demos and simulations.

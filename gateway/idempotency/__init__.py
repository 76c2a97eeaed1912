"""Idempotency keys: a mutation that a client sends again under the same key is not run again."""

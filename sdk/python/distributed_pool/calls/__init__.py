"""The verbs of a pool: the specs of calls, their results, retries and maps."""

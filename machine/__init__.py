"""What this machine is and how vLLM is started on it; shared by service/ and training/, imports neither."""

"""What vLLM fixes about adapters and its configuration does not name."""

# The largest rank that an engine can be made for is one of these (vllm.config.lora, MaxLoRARanks).
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)

"""Reinforcement learning from execution: which prompts are asked, who answers, what it is worth, what ends a run.

problems -> scheduler -> sampler -> rewards -> groups -> training/trainer/grpo.py; delivery and canary watch.
"""

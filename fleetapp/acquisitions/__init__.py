"""The chain quota > indicator > budget > procurement > acceptance (编制 > 指标 > 预算 > 采购 > 验收)."""

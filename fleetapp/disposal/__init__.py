"""Disposal: renewal age, appraisal, transfer, auction, buy-back, scrap, proceeds, deregistration."""

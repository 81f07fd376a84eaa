"""Sellers: strikes, appeals, and statements of the reasons."""

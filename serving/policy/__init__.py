"""The policy: a file of rules, bound to a bundle's operating points and evaluated by pure code."""

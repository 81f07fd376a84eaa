"""What it takes beyond one machine: measured costs, arithmetic, and simulated queues."""

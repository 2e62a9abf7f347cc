"""The statements of row-level security, by what they are about: functions, policies, triggers."""

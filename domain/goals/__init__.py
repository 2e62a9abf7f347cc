from domain.goals.facts import CheckInFact, GoalFacts, GoalPriority, GoalStatus, GoalType

__all__ = ["CheckInFact", "GoalFacts", "GoalPriority", "GoalStatus", "GoalType"]

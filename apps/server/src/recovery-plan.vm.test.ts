// The same lab, both of its machines in one recovery plan.
import { describe } from 'vitest'
import { oneLab } from './lab-tests/one-lab.ts'
import { recoveryPlanTests } from './lab-tests/recovery-plan.ts'

const lab = oneLab()

describe('a recovery plan', () => recoveryPlanTests(lab))

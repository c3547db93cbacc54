// The product with its lab of real machines, driven as an operator would and judged by the bytes. One lab for all of it: to make
// one takes as long as most of what is tried on it. What comes later stands on what was left in order before.
import { describe } from 'vitest'
import { badInputTests } from './lab-tests/bad-input.ts'
import { deadSiteTests } from './lab-tests/dead-site.ts'
import { firstFailoverTests } from './lab-tests/first-failover.ts'
import { oneLab } from './lab-tests/one-lab.ts'

const lab = oneLab()

describe('the first failover', () => firstFailoverTests(lab))
describe('bad input', () => badInputTests(lab))
describe('a dead source site', () => deadSiteTests(lab))

// The same lab, where processes are killed in the middle of what they do: server, PostgreSQL and QEMU.
import { describe } from 'vitest'
import { crashTests } from './lab-tests/crash.ts'
import { guestCrashTests } from './lab-tests/crash-guests.ts'
import { failoverCrashTests } from './lab-tests/failover-crash.ts'
import { oneLab } from './lab-tests/one-lab.ts'

const lab = oneLab()

describe('kill -9 of server and PostgreSQL', () => crashTests(lab))
describe('kill -9 of what guests depend on', () => guestCrashTests(lab))
describe('kill -9 in the middle of a failover', () => failoverCrashTests(lab))

// The agent's process.
import { runProgram } from './program.ts'

// Reading the disks of a server is not there yet: such an agent reports, and says so when it is asked for more.
await runProgram(async () => null)

// What everything around agents works with.
import type { Clock } from '@understudy/base/instant'
import type { ControlPlaneStores } from '@understudy/engine/ports/access-stores'
import type { Live } from '@understudy/engine/ports/live'
import type { Stores } from '@understudy/engine/ports/stores'
import type { Logger } from 'pino'
import type { Config } from '../config.ts'

export type AgentParts = {
  readonly stores: Stores & Pick<ControlPlaneStores, 'agents' | 'audit'>
  readonly live: Live
  readonly clock: Clock
  readonly newId: () => string
  readonly log: Logger
  readonly config: Pick<
    Config,
    'home' | 'host' | 'publicUrl' | 'agentHost' | 'agentPort' | 'agentUrl' | 'agentSilentSeconds'
  >
  readonly version: string
  /** Where the agent's program lies, once it is built. */
  readonly programFolder: string
}

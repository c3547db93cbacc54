// What every route handler has at hand.
import { implement } from '@orpc/server'
import type { Clock } from '@understudy/base/instant'
import { contract } from '@understudy/contract/api'
import type { Engine } from '@understudy/engine/engine'
import type { ControlPlaneStores } from '@understudy/engine/ports/access-stores'
import type { EvidencePrinter } from '@understudy/engine/ports/evidence-printer'
import type { Live } from '@understudy/engine/ports/live'
import type { Platforms } from '@understudy/engine/ports/platforms'
import type { Stores } from '@understudy/engine/ports/stores'
import type { Caller } from '../access/caller.ts'
import type { AgentKeeper } from '../agents/agent-keeper.ts'
import type { Receivers } from '../agents/receivers.ts'
import type { Lab } from '../lab/lab.ts'

export type ApiDeps = {
  readonly engine: Engine
  readonly stores: Stores & ControlPlaneStores
  readonly live: Live
  /** Only to ask what a site can do; everything else goes through the engine. */
  readonly platforms: Pick<Platforms, 'of' | 'secretPlaces'>
  /** Opens what was printed. */
  readonly printer: Pick<EvidencePrinter, 'open'>
  readonly clock: Clock
  readonly lab: Lab
  readonly agents: Pick<
    AgentKeeper,
    'invite' | 'revoke' | 'ask' | 'offered' | 'upgrade' | 'acceptHardware' | 'silentSeconds'
  >
  readonly receivers: Receivers
  readonly version: string
  readonly newId: () => string
  readonly session: SessionKeeper
}

/** Opens and closes browser sessions; knows the cookie. */
export type SessionKeeper = {
  readonly sessionMilliseconds: number
  /** The Set-Cookie header of a new session. */
  cookieFor(secret: string): string
  expiredCookie(): string
  csrfTokenOf(sessionIdHash: string): string
  /** A keyed digest: bodies may hold passwords, so a plain one could be guessed backwards from the database. */
  fingerprintOf(text: string): string
}

export type RequestContext = {
  /** Null only on the few routes that are open to anyone. */
  readonly caller: Caller | null
  readonly ip: string | null
  readonly userAgent: string | null
  /** Derived from the Idempotency-Key: the same key starts one job only. */
  readonly jobId: string | null
  setHeader(name: string, value: string): void
  /** Adds facts to the audit entry of this request. Never secrets. */
  audit(subject: string | null, facts: Readonly<Record<string, unknown>>): void
}

export const os = implement(contract).$context<RequestContext>()

// A site of servers that no hypervisor runs: each is seen and read through the agent on it, and comes home through a receiver in a rescue system. Nothing is kept
// or made here.
import { Outage } from '@understudy/base/errors'
import type { Site } from '@understudy/domain/sites/site'
import type { SitePlatform } from '@understudy/engine/ports/platforms'
import { type OriginalsDeps, physicalOriginals } from './originals.ts'
import { type PhysicalSourceDeps, physicalSource } from './source.ts'

export type PhysicalPlatform = Required<Pick<SitePlatform, 'source' | 'originals' | 'withoutTarget'>> &
  Pick<SitePlatform, 'checkConnection' | 'close'>

export type PhysicalDeps = PhysicalSourceDeps & OriginalsDeps

/** Needs neither settings nor secrets: its servers come by the enrolment of their agents. */
export function openPhysicalPlatform(site: Pick<Site, 'id'>, deps: PhysicalDeps): PhysicalPlatform {
  return {
    source: physicalSource(site.id, deps),
    originals: physicalOriginals(site.id, deps),
    withoutTarget:
      'Servers are replicated from here to another site, and come home through a rescue system; nothing else can be started on them from here.',
    async checkConnection() {
      const servers = await deps.line.servers(site.id)
      if (servers.length === 0)
        return { summary: 'No server is enrolled yet: each becomes a machine of the site when its agent is' }
      const silent = servers.filter(({ state }) => state === 'silent')
      if (silent.length === servers.length)
        throw new Outage({
          code: 'site/unreachable',
          message:
            servers.length === 1
              ? 'The agent of its only server is silent'
              : 'All agents of the site are silent',
          remedy:
            'See whether the servers run and reach this one: `understudy-agent status` says there what it waits for.',
        })
      const those = servers.length === 1 ? '1 server' : `${servers.length} servers`
      return { summary: silent.length === 0 ? those : `${those}, ${silent.length} of them silent` }
    },
    close: async () => {},
  }
}

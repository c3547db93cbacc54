import type { Site } from '@understudy/contract/site'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { Panel } from '../../ui/Panel.tsx'

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Where in Azure the replicas lie, as somebody finds them in the portal. Shows nothing for other kinds of site. */
export function AzureFacts({ site }: { readonly site: Site }) {
  if (site.platform !== 'azure') return null
  const { account, container, signIn, endpoint, proxyUrl } = site.settings
  return (
    <Panel title="Where the replicas lie">
      <Facts>
        <Fact name="Storage account">{textOf(account)}</Fact>
        <Fact name="Container">{textOf(container)}</Fact>
        <Fact name="Sign-in">{signIn === 'signature' ? 'shared access signature' : 'account key'}</Fact>
        <Fact name="Address">{textOf(endpoint)}</Fact>
        <Fact name="Proxy">{textOf(proxyUrl)}</Fact>
      </Facts>
    </Panel>
  )
}

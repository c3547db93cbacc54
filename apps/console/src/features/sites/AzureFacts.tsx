import { SimpleGrid } from '@mantine/core'
import type { Site } from '@understudy/contract/site'
import { CopyText } from '../../ui/CopyText.tsx'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { EmulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { type ComputeDraft, diskTypes, toComputeDraft } from './compute-draft.ts'
import { text } from './draft-fields.ts'

/** Where in Azure the replicas lie and run, as somebody finds it in the portal. Shows nothing for other kinds of site. */
export function AzureFacts({ site }: { readonly site: Site }) {
  if (site.platform !== 'azure') return null
  const { account, container, signIn, endpoint, proxyUrl } = site.settings
  const compute = toComputeDraft(site.settings.compute)
  const label = site.emulated && <EmulatedBadge />
  return (
    <SimpleGrid cols={{ base: 1, md: compute.wanted ? 2 : 1 }} spacing="md">
      <Panel title="Where the replicas lie" actions={label}>
        <Facts>
          <Fact name="Storage account">{text(account)}</Fact>
          <Fact name="Container">{text(container)}</Fact>
          <Fact name="Sign-in">{signIn === 'signature' ? 'shared access signature' : 'account key'}</Fact>
          <Fact name="Address">{text(endpoint)}</Fact>
          <Fact name="Proxy">{text(proxyUrl)}</Fact>
        </Facts>
      </Panel>
      {compute.wanted && (
        <Panel title="Where machines run" actions={label}>
          <ComputeFacts compute={compute} />
        </Panel>
      )}
    </SimpleGrid>
  )
}

type ComputeFactsProps = {
  readonly compute: ComputeDraft
  /** Only what a machine becomes, and not who lets us in. */
  readonly brief?: boolean
}

export const ComputeFacts = ({ compute, brief = false }: ComputeFactsProps) => (
  <Facts>
    {!brief && (
      <Fact name="Subscription">
        <CopyText text={compute.subscriptionId} what="id of the subscription" />
      </Fact>
    )}
    <Fact name="Resource group">{compute.resourceGroup}</Fact>
    <Fact name="Region">
      {compute.region}
      {compute.zone !== '' && `, zone ${compute.zone}`}
    </Fact>
    <Fact name="Availability set">{nameIn(compute.availabilitySetId)}</Fact>
    {!brief && (
      <>
        <Fact name="Sign-in">
          {compute.signIn === 'managed' ? 'managed identity' : 'service principal'}{' '}
          {compute.clientId !== '' && (
            <CopyText
              text={compute.clientId}
              what="id of the application"
              short={compute.clientId.slice(0, 8)}
            />
          )}
        </Fact>
        <Fact name="Resource Manager">{compute.resourceManager}</Fact>
      </>
    )}
    <Fact name="Machine size">
      {compute.preferredSizes === ''
        ? 'the smallest that fits the machine'
        : `${compute.preferredSizes}; else the smallest that fits`}
    </Fact>
    <Fact name="Disks">{diskTypes.find(({ value }) => value === compute.diskType)?.label}</Fact>
    <Fact name="Tags">{compute.tags.replaceAll('\n', ', ')}</Fact>
  </Facts>
)

/** The last part of a resource id. */
const nameIn = (resourceId: string): string => resourceId.slice(resourceId.lastIndexOf('/') + 1)

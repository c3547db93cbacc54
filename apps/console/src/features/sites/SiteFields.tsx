import { Stack, Text, TextInput } from '@mantine/core'
import { AzureFields } from './AzureFields.tsx'
import type { Problems } from './draft-fields.ts'
import { KvmFields } from './KvmFields.tsx'
import { SimulatedFields } from './SimulatedFields.tsx'
import type { SiteDraft } from './site-draft.ts'

type SiteFieldsProps = {
  readonly draft: SiteDraft
  readonly problems: Problems
  readonly onChange: (draft: SiteDraft) => void
  /** Of a site that exists: its secret is kept when the field stays empty. */
  readonly siteId?: string
}

/** Name and settings of a site, each problem beside its field. */
export function SiteFields({ draft, problems, onChange, siteId }: SiteFieldsProps) {
  const saved = siteId !== undefined
  return (
    <Stack gap="md">
      <TextInput
        label="Name"
        description="As people call the place: Berlin, Rack 4, DR site"
        value={draft.name}
        onChange={(event) => onChange({ ...draft, name: event.currentTarget.value })}
        error={problems.name ?? null}
        required
        maxLength={120}
        data-autofocus
      />
      {draft.platform === 'kvm' && (
        <KvmFields
          draft={draft.kvm}
          problems={problems}
          saved={saved}
          onChange={(kvm) => onChange({ ...draft, kvm })}
        />
      )}
      {draft.platform === 'azure' && (
        <AzureFields
          draft={draft.azure}
          problems={problems}
          siteId={siteId ?? null}
          onChange={(azure) => onChange({ ...draft, azure })}
        />
      )}
      {draft.platform === 'physical' && (
        <Text size="sm" c="dimmed">
          Servers are seen and read by an agent on each of them, which dials out to this control plane.
          Register the site, then enrol the agents on its page: a server appears when its agent is there.
          Replicas are kept at another site.
        </Text>
      )}
      {draft.platform === 'simulated' && (
        <SimulatedFields
          draft={draft.simulated}
          problems={problems}
          onChange={(simulated) => onChange({ ...draft, simulated })}
        />
      )}
    </Stack>
  )
}

import {
  Checkbox,
  Input,
  NumberInput,
  PasswordInput,
  SegmentedControl,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { Fold } from '../../ui/Fold.tsx'
import { AzureComputeFields } from './AzureComputeFields.tsx'
import type { AzureDraft } from './azure-draft.ts'
import type { Problems } from './draft-fields.ts'

type AzureFieldsProps = {
  readonly draft: AzureDraft
  readonly problems: Problems
  /** Null: it is not saved yet. */
  readonly siteId: string | null
  readonly onChange: (draft: AzureDraft) => void
}

const rareFields = ['endpoint', 'proxyUrl', 'connections', 'requestsPerSecond'] as const

/** A container of a storage account, how it lets us in, and how hard it may be used. */
export function AzureFields({ draft, problems, siteId, onChange }: AzureFieldsProps) {
  const saved = siteId !== null
  const problem = (path: string): string | null => problems[path] ?? null
  const set = (change: Partial<AzureDraft>): void => onChange({ ...draft, ...change })
  return (
    <Stack gap="md">
      <Text size="sm" c="var(--ink-quiet)">
        The site keeps replicas, one page blob for each disk, as fixed VHD. Use a standard general-purpose
        account (v2) without hierarchical namespace.
      </Text>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        <TextInput
          label="Storage account"
          placeholder="contosoreplicas"
          value={draft.account}
          onChange={(event) => set({ account: event.currentTarget.value })}
          error={problem('settings.account')}
          required
          spellCheck={false}
          autoCapitalize="none"
        />
        <TextInput
          label="Container"
          value={draft.container}
          onChange={(event) => set({ container: event.currentTarget.value })}
          error={problem('settings.container')}
          required
          spellCheck={false}
          autoCapitalize="none"
        />
      </SimpleGrid>
      <Checkbox
        label="Make the container if it is not there"
        description="When the connection is tested or the site is saved, never later: one that has gone was deleted."
        checked={draft.makeContainer}
        onChange={(event) => set({ makeContainer: event.currentTarget.checked })}
      />
      <SignIn draft={draft} saved={saved} problem={problem} set={set} />
      <Fold
        title="Address, proxy and limits"
        startsOpen={rareFields.some((name) => draft[name] !== '')}
        // A problem must not hide behind a closed fold.
        keepOpen={rareFields.some((name) => problem(`settings.${name}`) !== null)}
      >
        <Rare draft={draft} saved={saved} problem={problem} set={set} />
      </Fold>
      <AzureComputeFields
        siteId={siteId}
        draft={draft.compute}
        account={draft.account}
        problems={problems}
        onChange={(compute) => set({ compute })}
      />
    </Stack>
  )
}

type PartProps = {
  readonly draft: AzureDraft
  readonly saved: boolean
  readonly problem: (path: string) => string | null
  readonly set: (change: Partial<AzureDraft>) => void
}

function SignIn({ draft, saved, problem, set }: PartProps) {
  const kept = saved ? 'Left empty, the one that is saved stays' : undefined
  return (
    <Stack gap="sm">
      <Input.Wrapper label="Sign in with" labelElement="div">
        <SegmentedControl
          fullWidth
          aria-label="Sign in with"
          value={draft.signIn}
          onChange={(value) => set({ signIn: value === 'signature' ? 'signature' : 'key' })}
          data={[
            { value: 'key', label: 'Account key' },
            { value: 'signature', label: 'Shared access signature' },
          ]}
        />
      </Input.Wrapper>
      {draft.signIn === 'key' ? (
        <PasswordInput
          label="Account key"
          description={
            kept ?? 'Storage account, Security + networking, Access keys. Kept encrypted, never shown again.'
          }
          value={draft.accountKey}
          onChange={(event) => set({ accountKey: event.currentTarget.value })}
          error={problem('secrets.accountKey')}
          required={!saved}
          autoComplete="off"
        />
      ) : (
        <PasswordInput
          label="Shared access signature"
          description={
            kept ??
            'For the container, with Read, Add, Create, Write, Delete and List. Kept encrypted, never shown again.'
          }
          placeholder="sv=…&sig=…"
          value={draft.signature}
          onChange={(event) => set({ signature: event.currentTarget.value })}
          error={problem('secrets.signature')}
          required={!saved}
          autoComplete="off"
        />
      )}
    </Stack>
  )
}

const numberOr = (value: number | string): number | '' => (typeof value === 'number' ? value : '')

function Rare({ draft, saved, problem, set }: PartProps) {
  return (
    <Stack gap="sm">
      <TextInput
        label="Address of the blobs"
        description="Only for sovereign clouds and emulators; else it follows from the account."
        placeholder={`https://${draft.account || 'account'}.blob.core.windows.net`}
        value={draft.endpoint}
        onChange={(event) => set({ endpoint: event.currentTarget.value })}
        error={problem('settings.endpoint')}
        spellCheck={false}
      />
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        <TextInput
          label="Proxy"
          placeholder="http://user@proxy.example.net:3128"
          value={draft.proxyUrl}
          onChange={(event) => set({ proxyUrl: event.currentTarget.value })}
          error={problem('settings.proxyUrl')}
          spellCheck={false}
        />
        <PasswordInput
          label="Password of the proxy"
          placeholder={saved ? 'Stays as it is' : ''}
          value={draft.proxyPassword}
          onChange={(event) => set({ proxyPassword: event.currentTarget.value })}
          error={problem('secrets.proxyPassword')}
          disabled={draft.proxyUrl.trim() === ''}
          autoComplete="off"
        />
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        <NumberInput
          label="Connections"
          description="at a time"
          placeholder="32"
          min={1}
          max={256}
          value={draft.connections}
          onChange={(value) => set({ connections: numberOr(value) })}
          error={problem('settings.connections')}
        />
        <NumberInput
          label="Requests a second"
          description="empty: no limit"
          min={1}
          value={draft.requestsPerSecond}
          onChange={(value) => set({ requestsPerSecond: numberOr(value) })}
          error={problem('settings.requestsPerSecond')}
        />
      </SimpleGrid>
      <Text size="xs" c="var(--ink-quiet)">
        To leave room on the line, by days and hours, see "Limit a line" on the page of all sites.
      </Text>
    </Stack>
  )
}

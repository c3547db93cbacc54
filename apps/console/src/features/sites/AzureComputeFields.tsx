import {
  Input,
  PasswordInput,
  SegmentedControl,
  SimpleGrid,
  Stack,
  Switch,
  Text,
  TextInput,
} from '@mantine/core'
import { Fold } from '../../ui/Fold.tsx'
import { AzureComputeExtras, extraFields } from './AzureComputeExtras.tsx'
import { type ComputeDraft, isApplicationKnown } from './compute-draft.ts'
import type { Problems } from './draft-fields.ts'

type AzureComputeFieldsProps = {
  readonly draft: ComputeDraft
  readonly siteId: string | null
  /** Of the replicas. */
  readonly account: string
  readonly problems: Problems
  readonly onChange: (draft: ComputeDraft) => void
}

/** Where replicas run in Azure: off until somebody wants it, as it takes more rights and, once something runs, money. */
export function AzureComputeFields(props: AzureComputeFieldsProps) {
  const { draft, siteId, account, problems, onChange } = props
  const problem = problemIn(problems)
  const set = (change: Partial<ComputeDraft>): void => onChange({ ...draft, ...change })
  const hasExtras = extraFields.some((name) => draft[name] !== '')
  return (
    <Stack gap="sm" component="section" aria-label="Run machines there">
      <Switch
        label="Run machines there"
        description="Off: the site keeps replicas, and disks can be taken out of it by hand only."
        checked={draft.wanted}
        onChange={(event) => set({ wanted: event.currentTarget.checked })}
      />
      {draft.wanted && (
        <>
          <CostAndRights />
          <TextInput
            label="Subscription"
            description="Its id"
            placeholder="00000000-0000-0000-0000-000000000000"
            value={draft.subscriptionId}
            onChange={(event) => set({ subscriptionId: event.currentTarget.value })}
            error={problem('subscriptionId')}
            required
            spellCheck={false}
          />
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
            <TextInput
              label="Resource group"
              description="Everything that is made lies here"
              value={draft.resourceGroup}
              onChange={(event) => set({ resourceGroup: event.currentTarget.value })}
              error={problem('resourceGroup')}
              required
              spellCheck={false}
            />
            <TextInput
              label="Region"
              description="That of the storage account"
              placeholder="westeurope"
              value={draft.region}
              onChange={(event) => set({ region: event.currentTarget.value })}
              error={problem('region')}
              required
              spellCheck={false}
              autoCapitalize="none"
            />
          </SimpleGrid>
          <SignIn draft={draft} problems={problems} set={set} />
          <Fold
            title="Sizes, disks, zone, tags and other clouds"
            startsOpen={hasExtras}
            // A problem must not hide behind a closed fold.
            keepOpen={extraFields.some((name) => problem(pathOf[name] ?? name) !== null)}
          >
            <AzureComputeExtras draft={draft} siteId={siteId} account={account} problem={problem} set={set} />
          </Fold>
        </>
      )}
    </Stack>
  )
}

/** Fields that lie deeper in the settings than in the form. */
const pathOf: Readonly<Record<string, string>> = {
  resourceManager: 'cloud.resourceManager',
  directory: 'cloud.directory',
  certificate: 'cloud.certificate',
}

/** Of a field, or of any part of it: a list and the tags are one field each. */
const problemIn =
  (problems: Problems) =>
  (name: string): string | null => {
    const path = `settings.compute.${name}`
    const within = Object.keys(problems).find((each) => each.startsWith(`${path}.`))
    return problems[path] ?? (within === undefined ? null : (problems[within] ?? null))
  }

const CostAndRights = () => (
  <Stack gap={4}>
    <Text size="sm" c="var(--ink-quiet)">
      Nothing runs, and Azure charges for the replicas only, until a test or a failover. From then on it
      charges for the machine, its managed disks and public addresses, and for a copy of the disks while they
      are made; for a test until it is cleaned up, for a failover as long as it is kept.
    </Text>
    <Text size="sm" c="var(--ink-quiet)">
      The identity needs Contributor on the resource group, and Reader on the subscription for sizes, quotas
      and networks. A narrower role will do: the test of the connection names every right that is missing at
      these two. The right to join networks of other groups is not tested.
    </Text>
  </Stack>
)

type SignInProps = {
  readonly draft: ComputeDraft
  readonly problems: Problems
  readonly set: (change: Partial<ComputeDraft>) => void
}

function SignIn({ draft, problems, set }: SignInProps) {
  const known = isApplicationKnown(draft)
  const problem = problemIn(problems)
  return (
    <Stack gap="sm">
      <Input.Wrapper label="Sign in to Azure as" labelElement="div">
        <SegmentedControl
          fullWidth
          aria-label="Sign in to Azure as"
          value={draft.signIn}
          onChange={(value) => set({ signIn: value === 'managed' ? 'managed' : 'secret' })}
          data={[
            { value: 'secret', label: 'Service principal' },
            { value: 'managed', label: 'Managed identity' },
          ]}
        />
      </Input.Wrapper>
      {draft.signIn === 'secret' ? (
        <>
          <TextInput
            label="Tenant"
            description="Directory (tenant) id"
            value={draft.tenantId}
            onChange={(event) => set({ tenantId: event.currentTarget.value })}
            error={problem('signIn.tenantId')}
            required
            spellCheck={false}
          />
          <TextInput
            label="Application"
            description="Application (client) id"
            value={draft.clientId}
            onChange={(event) => set({ clientId: event.currentTarget.value })}
            error={problem('signIn.clientId')}
            required
            spellCheck={false}
          />
          <PasswordInput
            label="Client secret"
            description={
              known
                ? 'Left empty, the one that is saved stays'
                : 'Its value, not its id. Kept encrypted, never shown again.'
            }
            value={draft.clientSecret}
            onChange={(event) => set({ clientSecret: event.currentTarget.value })}
            error={problems['secrets.clientSecret'] ?? null}
            required={!known}
            autoComplete="off"
          />
        </>
      ) : (
        <TextInput
          label="Client id of the identity"
          description="Understudy has to run on a machine in Azure. Empty: the identity that this machine has; of several say which."
          value={draft.clientId}
          onChange={(event) => set({ clientId: event.currentTarget.value })}
          error={problem('signIn.clientId')}
          spellCheck={false}
        />
      )}
    </Stack>
  )
}

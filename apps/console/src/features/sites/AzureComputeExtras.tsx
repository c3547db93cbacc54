import { Select, SimpleGrid, Stack, Textarea, TextInput } from '@mantine/core'
import { type ComputeDraft, diskTypes } from './compute-draft.ts'
import { ResourceField } from './ResourceField.tsx'
import { choicesOf, ofSubscription, withSet } from './resource-options.ts'
import { usePlacementChoices } from './use-placement-choices.ts'

/** What most leave empty. A fold that holds one of them is open. */
export const extraFields = [
  'preferredSizes',
  'zone',
  'availabilitySetId',
  'licenseType',
  'tags',
  'storageAccountId',
  'resourceManager',
  'directory',
  'certificate',
] as const satisfies readonly (keyof ComputeDraft)[]

/** As every region that has zones calls them. */
const zones = ['1', '2', '3'].map((value) => ({ value, label: `Zone ${value}` }))

type AzureComputeExtrasProps = {
  readonly draft: ComputeDraft
  readonly siteId: string | null
  readonly account: string
  readonly problem: (name: string) => string | null
  readonly set: (change: Partial<ComputeDraft>) => void
}

/** What machines are made of in Azure, where other than by default. */
export function AzureComputeExtras({ draft, siteId, account, problem, set }: AzureComputeExtrasProps) {
  const choices = usePlacementChoices(siteId)
  const offeredZones = choicesOf(choices, 'zone')
  return (
    <Stack gap="sm">
      <TextInput
        label="Preferred sizes"
        description="Taken where they fit, in this order; else the smallest that fits the machine."
        placeholder="Standard_D2s_v5, Standard_D4s_v5"
        value={draft.preferredSizes}
        onChange={(event) => set({ preferredSizes: event.currentTarget.value })}
        error={problem('preferredSizes')}
        spellCheck={false}
      />
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        <Select
          label="Disks"
          allowDeselect={false}
          data={[...diskTypes]}
          value={draft.diskType}
          onChange={(value) =>
            set({ diskType: diskTypes.find((one) => one.value === value)?.value ?? draft.diskType })
          }
        />
        <Select
          label="Availability zone"
          placeholder="None"
          clearable
          clearButtonProps={{ 'aria-label': 'No zone' }}
          data={[
            ...withSet(
              offeredZones.length === 0 ? zones : offeredZones,
              draft.zone === '' ? [] : [draft.zone],
            ),
          ]}
          value={draft.zone === '' ? null : draft.zone}
          onChange={(value) => set({ zone: value ?? '' })}
          error={problem('zone')}
        />
      </SimpleGrid>
      <ResourceField
        label="Availability set"
        description="A machine is in a zone or in a set."
        placeholder="/subscriptions/…/availabilitySets/…"
        options={ofSubscription(choicesOf(choices, 'availability-set'), draft.subscriptionId)}
        value={draft.availabilitySetId}
        onChange={(availabilitySetId) => set({ availabilitySetId })}
        error={problem('availabilitySetId')}
      />
      <Textarea
        label="Tags"
        description="On everything that is made, one a line"
        placeholder="department = finance"
        autosize
        minRows={2}
        maxRows={6}
        value={draft.tags}
        onChange={(event) => set({ tags: event.currentTarget.value })}
        error={problem('tags')}
        spellCheck={false}
      />
      <TextInput
        label="Licence that is brought along"
        placeholder="Windows_Server"
        value={draft.licenseType}
        onChange={(event) => set({ licenseType: event.currentTarget.value })}
        error={problem('licenseType')}
        spellCheck={false}
      />
      <TextInput
        label="Resource id of the storage account"
        description={`Empty: ${account || 'the account above'}, in the same resource group as the machines.`}
        placeholder="/subscriptions/…/storageAccounts/…"
        value={draft.storageAccountId}
        onChange={(event) => set({ storageAccountId: event.currentTarget.value })}
        error={problem('storageAccountId')}
        spellCheck={false}
      />
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        <TextInput
          label="Address of Resource Manager"
          description="Of sovereign clouds and emulators"
          placeholder="https://management.azure.com"
          value={draft.resourceManager}
          onChange={(event) => set({ resourceManager: event.currentTarget.value })}
          error={problem('cloud.resourceManager')}
          spellCheck={false}
        />
        <TextInput
          label="Address of the directory"
          description="Where identities sign in"
          placeholder="https://login.microsoftonline.com"
          value={draft.directory}
          onChange={(event) => set({ directory: event.currentTarget.value })}
          error={problem('cloud.directory')}
          spellCheck={false}
        />
      </SimpleGrid>
      {(draft.resourceManager !== '' || draft.certificate !== '') && (
        <Textarea
          label="Certificate to believe there"
          description="PEM, beside those of the system"
          autosize
          minRows={2}
          maxRows={5}
          value={draft.certificate}
          onChange={(event) => set({ certificate: event.currentTarget.value })}
          error={problem('cloud.certificate')}
          spellCheck={false}
        />
      )}
    </Stack>
  )
}

import { Stack, Text } from '@mantine/core'
import { IconCloudPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { LinkButton } from '../../ui/LinkButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'

/** Replication to Azure without Azure: its emulator on this computer, as one more site. */
export function AzureOnThisComputer({ onAdded }: { readonly onAdded?: (siteId: string) => void }) {
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  const { data: lab } = useQuery(api.lab.get.queryOptions())
  const { data: sites } = useQuery(api.sites.list.queryOptions())
  const add = useMutation({
    mutationFn: () => client.lab.addAzure({}),
    onSuccess: ({ siteId }) => onAdded?.(siteId),
    onSettled: () => queries.invalidateQueries(),
  })
  if (!lab) return null
  const { available, reason, whyNoMachines, siteId } = lab.azure
  const known = sites?.items.find(({ id }) => id === siteId)
  // From before it could, or switched off since.
  const lacksMachines = known !== undefined && known.whyNoTarget !== null && whyNoMachines === null
  return (
    <Stack gap={8} align="flex-start">
      <Text size="sm" c="var(--ink-quiet)">
        Azure (Azurite on this computer): Microsoft's emulator of Azure Storage keeps replicas here as Azure
        would keep them
        {whyNoMachines === null
          ? ', and a stand-in for Resource Manager boots them under QEMU.'
          : `. Machines cannot run there: ${whyNoMachines}.`}{' '}
        Emulated, to learn and to try; nothing leaves this computer.
      </Text>
      {siteId === null || lacksMachines ? (
        <ActionButton
          variant="default"
          reason={whyRefused(roleOf.lab.addAzure) ?? (available ? null : reason)}
          loading={add.isPending}
          onClick={() => add.mutate()}
          leftSection={<IconCloudPlus size={16} aria-hidden />}
        >
          {siteId === null ? 'Add the emulated Azure' : 'Let machines run in the emulated Azure'}
        </ActionButton>
      ) : (
        <LinkButton variant="default" to="/sites/$siteId" params={{ siteId }}>
          Open the emulated Azure
        </LinkButton>
      )}
      <ProblemAlert error={add.error} title="The emulated Azure was not added" />
    </Stack>
  )
}

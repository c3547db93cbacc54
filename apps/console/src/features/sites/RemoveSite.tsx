import { Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconTrash } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'

export function RemoveSite({ site, onRemoved }: { readonly site: Site; readonly onRemoved: () => void }) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.sites.remove)
  const [opened, { open, close }] = useDisclosure()
  const remove = useMutation({
    mutationFn: () => client.sites.remove({ id: site.id }),
    onSuccess: async () => {
      onRemoved()
      await queries.invalidateQueries({ queryKey: api.sites.list.key() })
    },
  })
  return (
    <>
      <ActionButton reason={refused} variant="default" onClick={open} leftSection={<IconTrash size={16} />}>
        Remove
      </ActionButton>
      <ConfirmByName
        opened={opened}
        onClose={close}
        title={`Remove ${site.name}?`}
        name={site.name}
        confirm={`Remove ${site.name}`}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate()}
      >
        <Text size="sm">
          Understudy forgets this site, its {site.machineCount} machines and its credentials. Nothing at the
          site itself is touched. A site that is the source or target of a protection cannot be removed.
        </Text>
      </ConfirmByName>
    </>
  )
}

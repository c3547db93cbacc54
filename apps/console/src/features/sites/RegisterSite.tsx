import { Button, Divider, Drawer, Group, SegmentedControl, Stack } from '@mantine/core'
import { IconPlugConnected } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { api, client } from '../../api/client.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ConnectionProblem, ConnectionTest } from './ConnectionTest.tsx'
import { SiteFields } from './SiteFields.tsx'
import { emptyDraft, toSiteInput } from './site-draft.ts'
import { wordsOfPlatform } from './site-words.ts'
import { useSiteForm } from './use-site-form.ts'

const platforms = ['kvm', 'physical', 'azure', 'simulated'] as const

type RegisterSiteProps = {
  readonly opened: boolean
  readonly onClose: () => void
  readonly onRegistered: (siteId: string) => void
  /** What else there is for somebody without an account in Azure. */
  readonly azureOffer?: ReactNode
}

/** From nothing to a registered site: settings, a test of the connection, and only then saving. */
export function RegisterSite({ opened, onClose, onRegistered, azureOffer }: RegisterSiteProps) {
  return (
    <Drawer
      opened={opened}
      onClose={onClose}
      position="right"
      size={640}
      title="Register a site"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <RegisterForm onRegistered={onRegistered} onCancel={onClose} azureOffer={azureOffer} />
    </Drawer>
  )
}

type RegisterFormProps = {
  readonly onRegistered: (siteId: string) => void
  readonly onCancel: () => void
  readonly azureOffer: ReactNode
}

function RegisterForm({ onRegistered, onCancel, azureOffer }: RegisterFormProps) {
  const queries = useQueryClient()
  const form = useSiteForm(emptyDraft)
  const create = useMutation({
    mutationFn: () => client.sites.create(toSiteInput(form.draft)),
    onSuccess: async (site) => {
      await queries.invalidateQueries({ queryKey: api.sites.key() })
      onRegistered(site.id)
    },
  })
  return (
    <Stack gap="md" ref={form.place}>
      <SegmentedControl
        aria-label="Platform"
        value={form.draft.platform}
        onChange={(value) => {
          const platform = platforms.find((each) => each === value)
          if (platform) form.setDraft({ ...form.draft, platform })
        }}
        data={platforms.map((value) => ({ value, label: wordsOfPlatform[value] }))}
      />
      <SiteFields draft={form.draft} problems={form.problems} onChange={form.setDraft} />
      <ConnectionTest summary={form.summary} error={form.testError} incomplete={form.incomplete} />
      <ConnectionProblem error={create.error} title="The site was not registered" />
      <Group justify="flex-end" gap="xs">
        <Button variant="subtle" color="gray" onClick={onCancel}>
          Cancel
        </Button>
        <Button
          variant={form.summary === null ? 'filled' : 'default'}
          leftSection={<IconPlugConnected size={16} />}
          loading={form.testing}
          onClick={form.test}
        >
          Test the connection
        </Button>
        <ActionButton
          reason={form.summary === null ? 'Test the connection first' : null}
          loading={create.isPending}
          onClick={() => create.mutate()}
        >
          Register
        </ActionButton>
      </Group>
      {form.draft.platform === 'azure' && azureOffer && (
        <>
          <Divider label="No account at hand?" labelPosition="left" />
          {azureOffer}
        </>
      )}
    </Stack>
  )
}

-- First copies that travel on disks.
CREATE TABLE "Seed" (
    "protectionId" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "replicaId" TEXT NOT NULL,
    "folder" TEXT NOT NULL,
    "startedAt" TIMESTAMPTZ(3) NOT NULL,
    "export" JSONB,
    "sealed" BYTEA,

    CONSTRAINT "Seed_pkey" PRIMARY KEY ("protectionId")
);

ALTER TABLE "Seed" ADD CONSTRAINT "Seed_protectionId_fkey" FOREIGN KEY ("protectionId") REFERENCES "Protection"("id") ON DELETE CASCADE ON UPDATE CASCADE;

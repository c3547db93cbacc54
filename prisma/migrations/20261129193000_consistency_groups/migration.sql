-- AlterTable
ALTER TABLE "Protection" ADD COLUMN     "groupId" TEXT;

-- AlterTable
ALTER TABLE "PlanRun" ADD COLUMN     "cuts" JSONB NOT NULL DEFAULT '{}';

-- CreateTable
CREATE TABLE "ConsistencyGroup" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "nameKey" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL,
    "summary" JSONB NOT NULL,

    CONSTRAINT "ConsistencyGroup_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "ConsistencyGroup_nameKey_key" ON "ConsistencyGroup"("nameKey");

-- CreateIndex
CREATE INDEX "Protection_groupId_idx" ON "Protection"("groupId");

-- AddForeignKey
ALTER TABLE "Protection" ADD CONSTRAINT "Protection_groupId_fkey" FOREIGN KEY ("groupId") REFERENCES "ConsistencyGroup"("id") ON DELETE SET NULL ON UPDATE CASCADE;
